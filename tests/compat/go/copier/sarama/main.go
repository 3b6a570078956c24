// Copies a topic in transactions, as sarama does; what it is told and says: transactions/copies.py.
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

type copier struct {
	producer      sarama.SyncProducer
	target, group string
	count         *int
}

func (copier) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (copier) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim copies what has come of one partition; the producer has one transaction at a time.
func (copier copier) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	for {
		select {
		case first := <-claim.Messages():
			if first == nil {
				return nil
			}
			batch := []*sarama.ConsumerMessage{first}
			for len(batch) < 50 && len(claim.Messages()) > 0 {
				batch = append(batch, <-claim.Messages())
			}
			turn <- struct{}{}
			err := copier.copy(batch)
			<-turn
			if err != nil {
				// What was not committed is read again by the next session.
				return err
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

// turn is had by who copies.
var turn = make(chan struct{}, 1)

func (copier copier) copy(batch []*sarama.ConsumerMessage) error {
	producer := copier.producer
	if producer.TxnStatus()&sarama.ProducerTxnFlagFatalError != 0 {
		panic("the producer is of no use any more")
	}
	if err := producer.BeginTxn(); err != nil {
		return err
	}
	err := copier.fill(batch)
	*copier.count++
	if err == nil && *copier.count%5 == 0 {
		err = fmt.Errorf("aborted on purpose")
	}
	if err == nil {
		err = producer.CommitTxn()
	}
	if err == nil {
		fmt.Println("committed", len(batch))
		return nil
	}
	for producer.TxnStatus()&sarama.ProducerTxnFlagInTransaction != 0 ||
		producer.TxnStatus()&sarama.ProducerTxnFlagAbortableError != 0 {
		if producer.TxnStatus()&sarama.ProducerTxnFlagFatalError != 0 {
			panic(err)
		}
		complain(producer.AbortTxn())
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

func (copier copier) fill(batch []*sarama.ConsumerMessage) error {
	for _, message := range batch {
		copied := &sarama.ProducerMessage{
			Topic: copier.target, Partition: message.Partition,
			Value: sarama.ByteEncoder(message.Value),
		}
		if _, _, err := copier.producer.SendMessage(copied); err != nil {
			return err
		}
	}
	return copier.producer.AddMessageToTxn(batch[len(batch)-1], copier.group, nil)
}

func complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.StampMilli), err)
	}
}

func main() {
	address, source, target, group := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Group.Session.Timeout = 3 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Transaction.ID = os.Args[5]
	config.Producer.Transaction.Timeout = 10 * time.Second
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer([]string{address}, config)
	if err != nil {
		panic(err)
	}
	consumer, err := sarama.NewConsumerGroup([]string{address}, group, config)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	count := 0
	copies := copier{producer, target, group, &count}
	// Each call is one generation of the group.
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{source}, copies); err != nil {
			complain(err)
			time.Sleep(200 * time.Millisecond)
		}
	}
	complain(consumer.Close())
	complain(producer.Close())
}
