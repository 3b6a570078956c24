// franz-go: the same story as the other clients'.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const topic = "compat-franz-go"

var times = []int64{1700000000000, 1700000001000, 1700000002000}

var codecs = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

var acks = []struct {
	name string
	acks kgo.Acks
}{{"0", kgo.NoAck()}, {"1", kgo.LeaderAck()}, {"all", kgo.AllISRAcks()}}

func well(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func check(what string, found, expected any) {
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		well(fmt.Errorf("%s: %v where %v is expected", what, found, expected))
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(os.Args[1]))...)
	well(err)
	return client
}

func produce(ctx context.Context) (expected []string) {
	for _, codec := range codecs {
		for _, ack := range acks {
			options := []kgo.Opt{
				kgo.ProducerBatchCompression(codec.codec), kgo.RequiredAcks(ack.acks),
				kgo.RecordPartitioner(kgo.ManualPartitioner()),
			}
			if ack.name != "all" {
				options = append(options, kgo.DisableIdempotentWrite())
			}
			producer := client(options...)
			for number, at := range times {
				value := fmt.Sprintf("%s-%s-%d", codec.name, ack.name, number)
				expected = append(expected, value)
				record := &kgo.Record{
					Topic: topic, Key: []byte("k"), Value: []byte(value), Timestamp: time.UnixMilli(at),
					Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}},
				}
				well(producer.ProduceSync(ctx, record).FirstErr())
			}
			producer.Close()
		}
	}
	return expected
}

func read(ctx context.Context, from kgo.Offset, count int) (values []string) {
	offsets := map[string]map[int32]kgo.Offset{topic: {0: from}}
	consumer := client(kgo.ConsumePartitions(offsets))
	defer consumer.Close()
	for len(values) < count {
		fetches := consumer.PollRecords(ctx, count-len(values))
		well(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) { values = append(values, string(record.Value)) })
	}
	return values
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	shared := client()
	defer shared.Close()
	admin := kadm.NewClient(shared)
	always := "-1"
	_, err := admin.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &always}, topic)
	well(err)
	_, err = admin.CreatePartitions(ctx, 1, topic)
	well(err)
	topics, err := admin.ListTopics(ctx, topic)
	well(err)
	check("partitions", len(topics[topic].Partitions), 3)

	expected := produce(ctx)
	ends, err := admin.ListEndOffsets(ctx, topic)
	well(err)
	end, _ := ends.Lookup(topic, 0)
	check("end", end.Offset, len(expected))
	check("from the start", read(ctx, kgo.NewOffset().AtStart(), len(expected)), expected)
	check("from a position", read(ctx, kgo.NewOffset().At(7), 3), expected[7:10])
	check("by time", read(ctx, kgo.NewOffset().AfterMilli(times[1]), 1), expected[1:2])

	set := "1234567"
	change := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &set}}
	altered, err := admin.AlterTopicConfigs(ctx, change, topic)
	well(err)
	well(altered[0].Err)
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	well(err)
	for _, setting := range described[0].Configs {
		if setting.Key == "retention.ms" {
			check("setting", setting.MaybeValue(), set)
		}
	}
	before := kadm.Offsets{}
	before.Add(kadm.Offset{Topic: topic, Partition: 0, At: 5})
	_, err = admin.DeleteRecords(ctx, before)
	well(err)
	starts, err := admin.ListStartOffsets(ctx, topic)
	well(err)
	start, _ := starts.Lookup(topic, 0)
	check("start", start.Offset, 5)
	_, err = admin.DeleteTopics(ctx, topic)
	well(err)
	left, err := admin.ListTopics(ctx)
	well(err)
	check("deleted", strings.Contains(fmt.Sprint(left.Names()), topic), false)
	fmt.Println("well")
}
