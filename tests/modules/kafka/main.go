// Apache Kafka by librdkafka, in C: a message to a broker that the library imitates, and back.
package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const topic = "numbers"

func main() {
	_, version := kafka.LibraryVersion()
	secret, err := kafka.NewProducer(&kafka.ConfigMap{"security.protocol": "ssl"})
	check(err)
	secret.Close()

	cluster, err := kafka.NewMockCluster(1)
	check(err)
	defer cluster.Close()
	for _, codec := range []string{"zstd", "lz4", "gzip", "snappy"} {
		send(cluster.BootstrapServers(), codec)
	}
	fmt.Println(version, receive(cluster.BootstrapServers(), 4))
}

func send(servers, codec string) {
	producer, err := kafka.NewProducer(&kafka.ConfigMap{
		"bootstrap.servers": servers,
		"compression.type":  codec,
	})
	check(err)
	defer producer.Close()
	name, done := topic, make(chan kafka.Event, 1)
	message := &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &name, Partition: 0},
		Value:          []byte(strings.Repeat(codec+" ", 1000)),
	}
	check(producer.Produce(message, done))
	check((<-done).(*kafka.Message).TopicPartition.Error)
}

func receive(servers string, count int) (words []string) {
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": servers,
		"group.id":          "all",
		"auto.offset.reset": "earliest",
	})
	check(err)
	defer consumer.Close()
	check(consumer.Subscribe(topic, nil))
	for len(words) < count {
		message, err := consumer.ReadMessage(time.Minute)
		check(err)
		fields := strings.Fields(string(message.Value))
		words = append(words, fmt.Sprint(len(fields), " times ", fields[len(fields)-1]))
	}
	return words
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
