// A member of a group, as sarama plays it; what it is told and says: groups/member.py.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/IBM/sarama"
)

var protocols = map[string]sarama.BalanceStrategy{
	"range":      sarama.NewBalanceStrategyRange(),
	"roundrobin": sarama.NewBalanceStrategyRoundRobin(),
	"sticky":     sarama.NewBalanceStrategySticky(),
}

type member struct{ commitsByHand bool }

func (member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (member member) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	for {
		select {
		case message := <-claim.Messages():
			if message == nil {
				return nil
			}
			fmt.Printf("%d %d %s\n", message.Partition, message.Offset, message.Value)
			session.MarkMessage(message, "")
			// Each commit is waited for: one for all that has come.
			if member.commitsByHand && len(claim.Messages()) == 0 {
				session.Commit()
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.StampMilli), err)
	}
}

func main() {
	address, topic, group := os.Args[1], os.Args[2], os.Args[3]
	commit, protocol := os.Args[4], os.Args[5]
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{protocols[protocol]}
	config.Consumer.Group.Session.Timeout = 3 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = commit == "auto"
	config.Consumer.Offsets.AutoCommit.Interval = 200 * time.Millisecond
	config.Consumer.Return.Errors = true
	consumer, err := sarama.NewConsumerGroup([]string{address}, group, config)
	if err != nil {
		panic(err)
	}
	go func() {
		for err := range consumer.Errors() {
			complain(err)
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	// Each call is one generation of the group.
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{topic}, member{commit == "manual"}); err != nil {
			complain(err)
			time.Sleep(200 * time.Millisecond)
		}
	}
	complain(consumer.Close())
}
