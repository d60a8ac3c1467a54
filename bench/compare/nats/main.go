// Load on a JetStream work queue, one figure a run, as JSON.
//
//	nats_load SERVER WORKERS BATCH COUNT SIZE RATE
//
// One publisher (RATE records a second, 0: as fast as the server acknowledges) and WORKERS pull consumers on one durable consumer with explicit
// acknowledgement, each on a connection of its own. A worker fetches up to BATCH records and acknowledges each; the last acknowledgement of a batch waits for
// the server's answer, and with it for those before it. Latency is from when a record was due to its delivery.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	stampBytes     = 32 // Number and due time, 16 hexadecimal digits each.
	unackedMax     = 1000
	stallWait      = time.Minute
	fetchWait      = 100 * time.Millisecond
	overallTimeout = 120 * time.Second
)

type load struct {
	server                string
	workers, batch, count int
	size, rate            int
	began                 time.Time
	received              []atomic.Bool
	latency               []time.Duration
	settled, duplicated   atomic.Int64
	finished              chan struct{}
	finishedAt            time.Time
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func connect(server string) jetstream.JetStream {
	connection := must(nats.Connect(server))
	return must(jetstream.New(connection, jetstream.WithPublishAsyncMaxPending(unackedMax)))
}

func (l *load) publish() {
	stream := connect(l.server)
	filler := make([]byte, l.size)
	for i := range filler {
		filler[i] = byte('!' + rand.Intn(90))
	}
	for i := range l.count {
		due := time.Since(l.began)
		if l.rate > 0 {
			due = time.Duration(i) * time.Second / time.Duration(l.rate)
			time.Sleep(due - time.Since(l.began))
		}
		value := append(fmt.Appendf(nil, "%016x%016x", i, int64(due)), filler[stampBytes:]...)
		must(stream.PublishAsync("bench", value, jetstream.WithStallWait(stallWait)))
	}
	<-stream.PublishAsyncComplete()
}

func (l *load) take(message jetstream.Msg) {
	number := must(strconv.ParseInt(string(message.Data()[:16]), 16, 64))
	due := must(strconv.ParseInt(string(message.Data()[16:stampBytes]), 16, 64))
	if l.received[number].Swap(true) {
		l.duplicated.Add(1)
		return
	}
	l.latency[number] = time.Since(l.began) - time.Duration(due)
}

func (l *load) work(ctx context.Context, ready *sync.WaitGroup) {
	consumer := must(connect(l.server).Consumer(ctx, "bench", "bench"))
	ready.Done()
	for ctx.Err() == nil && l.settled.Load() < int64(l.count) {
		fetched := must(consumer.Fetch(l.batch, jetstream.FetchMaxWait(fetchWait)))
		var last jetstream.Msg
		records := int64(0)
		for message := range fetched.Messages() {
			l.take(message)
			if last != nil {
				must(0, last.Ack())
			}
			last = message
			records++
		}
		if last == nil {
			continue
		}
		must(0, last.DoubleAck(ctx))
		if l.settled.Add(records) == int64(l.count) {
			l.finishedAt = time.Now()
			close(l.finished)
		}
	}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	must(0, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: nats_load SERVER WORKERS BATCH COUNT SIZE RATE")
		os.Exit(2)
	}
	number := func(i int) int { return must(strconv.Atoi(os.Args[i])) }
	l := &load{server: os.Args[1], workers: number(2), batch: number(3), count: number(4), size: max(number(5), stampBytes), rate: number(6)}
	l.received = make([]atomic.Bool, l.count)
	l.latency = make([]time.Duration, l.count)
	l.finished = make(chan struct{})
	ctx, cancel := context.WithTimeout(context.Background(), overallTimeout)
	defer cancel()

	manager := connect(l.server)
	_ = manager.DeleteStream(ctx, "bench") // It need not be there.
	stream := must(manager.CreateStream(ctx, jetstream.StreamConfig{Name: "bench", Subjects: []string{"bench"}, Storage: jetstream.FileStorage, MaxBytes: 4 << 30}))
	must(stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "bench", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 100_000}))

	var ready sync.WaitGroup
	ready.Add(l.workers)
	for range l.workers {
		go l.work(ctx, &ready)
	}
	ready.Wait()
	l.began = time.Now()
	go l.publish()
	select {
	case <-l.finished:
	case <-ctx.Done():
		fmt.Fprintf(os.Stderr, "only %d of %d records were settled in time\n", l.settled.Load(), l.count)
		os.Exit(1)
	}
	must(0, manager.DeleteStream(ctx, "bench"))
	seconds := l.finishedAt.Sub(l.began).Seconds()
	slices.Sort(l.latency)
	milliseconds := func(share float64) float64 { return l.latency[int(share*float64(l.count-1))].Seconds() * 1000 }
	must(0, json.NewEncoder(os.Stdout).Encode(map[string]any{"records": l.count, "seconds": seconds, "records_per_second": float64(l.count) / seconds,
		"duplicated": l.duplicated.Load(), "client_cpu_seconds": cpuSeconds(), "p50_ms": milliseconds(0.5), "p99_ms": milliseconds(0.99)}))
}
