// Copies a topic in transactions, as franz-go does; what it is told and says: transactions/copies.py.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.StampMilli), err)
	}
}

func main() {
	address, source, target := os.Args[1], os.Args[2], os.Args[3]
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(address),
		kgo.ConsumeTopics(source),
		kgo.ConsumerGroup(os.Args[4]),
		kgo.TransactionalID(os.Args[5]),
		kgo.TransactionTimeout(10*time.Second),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(3*time.Second),
		kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequireStableFetchOffsets(),
	)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for count := 1; ctx.Err() == nil; {
		polling, polled := context.WithTimeout(ctx, 100*time.Millisecond)
		fetches := session.PollRecords(polling, 200)
		polled()
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := session.Begin(); err != nil {
			panic(err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			copied := &kgo.Record{Topic: target, Partition: record.Partition, Value: record.Value}
			session.Produce(context.Background(), copied, func(_ *kgo.Record, err error) {
				complain(err)
			})
		})
		// What failed, or was to be read by somebody else meanwhile, is aborted.
		committed, err := session.End(context.Background(), kgo.TransactionEndTry(count%5 != 0))
		if err != nil {
			panic(err)
		}
		if committed {
			fmt.Println("committed", fetches.NumRecords())
		}
		count++
	}
	session.Close()
}
