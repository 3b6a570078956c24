// A member of a group, as kafka-go plays it; what it is told and says: groups/member.py.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

var protocols = map[string]kafka.GroupBalancer{
	"range":      kafka.RangeGroupBalancer{},
	"roundrobin": kafka.RoundRobinGroupBalancer{},
}

func complain(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.StampMilli), err)
	}
}

func main() {
	address, topic, group := os.Args[1], os.Args[2], os.Args[3]
	commit, protocol := os.Args[4], os.Args[5]
	// Without an interval a commit is sent and waited for.
	interval := time.Duration(0)
	if commit == "auto" {
		interval = 200 * time.Millisecond
	}
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{address}, GroupTopics: []string{topic}, GroupID: group,
		GroupBalancers: []kafka.GroupBalancer{protocols[protocol]}, StartOffset: kafka.FirstOffset,
		SessionTimeout: 3 * time.Second, HeartbeatInterval: 300 * time.Millisecond,
		RebalanceTimeout: 5 * time.Second, JoinGroupBackoff: 300 * time.Millisecond,
		CommitInterval: interval, MaxWait: 200 * time.Millisecond,
		ErrorLogger: kafka.LoggerFunc(func(format string, values ...any) {
			complain(fmt.Errorf(format, values...))
		}),
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var read []kafka.Message
	for ctx.Err() == nil {
		soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		message, err := reader.FetchMessage(soon)
		cancel()
		if err == nil {
			fmt.Printf("%d %d %s\n", message.Partition, message.Offset, message.Value)
			read = append(read, message)
		} else if !errors.Is(err, context.DeadlineExceeded) {
			complain(err)
		}
		if len(read) == 50 || err != nil && len(read) > 0 {
			complain(reader.CommitMessages(context.Background(), read...))
			read = nil
		}
	}
	complain(reader.Close())
}
