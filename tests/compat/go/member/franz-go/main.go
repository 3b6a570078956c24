// A member of a group, as franz-go plays it; what it is told and says: groups/member.py.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var protocols = map[string][]kgo.Opt{
	"range":              {kgo.Balancers(kgo.RangeBalancer())},
	"roundrobin":         {kgo.Balancers(kgo.RoundRobinBalancer())},
	"sticky":             {kgo.Balancers(kgo.StickyBalancer())},
	"cooperative-sticky": {kgo.Balancers(kgo.CooperativeStickyBalancer())},
	// The broker assigns.
	"consumer": {kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())},
}

func complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.StampMilli), err)
	}
}

func main() {
	address, topic, group := os.Args[1], os.Args[2], os.Args[3]
	commit, protocol := os.Args[4], os.Args[5]
	commits := kgo.DisableAutoCommit()
	if commit == "auto" {
		commits = kgo.AutoCommitInterval(200 * time.Millisecond)
	}
	options := protocols[protocol]
	if len(os.Args) > 6 {
		options = append(options, kgo.InstanceID(os.Args[6]), kgo.SessionTimeout(20*time.Second))
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(address), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), commits, kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(3 * time.Second), kgo.HeartbeatInterval(300 * time.Millisecond),
	}, options...)...)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, 1000)
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.Canceled) {
				complain(err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Printf("%d %d %s\n", record.Partition, record.Offset, record.Value)
		})
		if commit == "manual" {
			complain(client.CommitUncommittedOffsets(context.Background()))
		}
		client.AllowRebalance()
	}
	complain(client.CommitUncommittedOffsets(context.Background()))
	client.CloseAllowingRebalance()
}
