// What a careful Go team would write: a franz-go group member, JSON by encoding/json (or goccy/go-json where JSON=goccy),
// rows through pgx CopyFrom, at most 10,000 a transaction, and how far each partition is in the same transaction. Where
// WORKERS=3, three of it, each with a connection and a partition that is given to it instead of a group's.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goccy "github.com/goccy/go-json"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

const most = 10_000

type message struct {
	Timestamp  time.Time `json:"timestamp"`
	SensorID   string    `json:"sensor_id"`
	SensorType string    `json:"sensor_type"`
	Value      *float64  `json:"value"`
	AlertLevel string    `json:"alert_level"`
}

// what one transaction stores: rows, and from where to where each partition goes
type batch struct {
	rows     [][]any
	from, to map[int32]int64
}

func fresh() *batch {
	return &batch{rows: make([][]any, 0, most), from: map[int32]int64{}, to: map[int32]int64{}}
}

func main() {
	ctx := context.Background()
	decode := json.Unmarshal
	if os.Getenv("JSON") == "goccy" {
		decode = func(b []byte, v any) error { return goccy.Unmarshal(b, v) }
	}
	expected, err := strconv.ParseInt(os.Getenv("READINGS"), 10, 64)
	must(err)
	workers := 1
	if os.Getenv("WORKERS") != "" {
		workers, err = strconv.Atoi(os.Getenv("WORKERS"))
		must(err)
	}
	setup, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	must(err)
	_, err = setup.Exec(ctx, `create table if not exists progress (partition int primary key, next bigint not null)`)
	must(err)
	must(setup.Close(ctx))

	// polls end when all of them together have taken what was expected
	polling, enough := context.WithCancel(ctx)
	var taken atomic.Int64
	var all sync.WaitGroup
	for i := range workers {
		topic := os.Getenv("TOPIC")
		where := []kgo.Opt{kgo.ConsumerGroup(os.Getenv("GROUP")), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit()}
		if workers > 1 {
			start := map[int32]kgo.Offset{int32(i): kgo.NewOffset().AtStart()}
			where = []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start})}
		}
		all.Go(func() {
			work(ctx, polling, where, decode, func(n int64) {
				if taken.Add(n) >= expected {
					enough()
				}
			})
		})
	}
	all.Wait()
}

func work(ctx, polling context.Context, where []kgo.Opt, decode func([]byte, any) error, count func(int64)) {
	database, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	must(err)
	client, err := kgo.NewClient(append(where,
		kgo.SeedBrokers(os.Getenv("KAFKA_BROKERS")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)...)
	must(err)
	defer client.Close()

	// the next batch is decoded while the last one is written
	batches, written := make(chan *batch, 1), make(chan struct{})
	go func() {
		for b := range batches {
			must(store(ctx, database, b))
		}
		close(written)
	}()
	current := fresh()
	for polling.Err() == nil {
		fetches := client.PollRecords(polling, most)
		if polling.Err() != nil && fetches.NumRecords() == 0 {
			break
		}
		must(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			if _, known := current.from[r.Partition]; !known {
				current.from[r.Partition] = r.Offset
			}
			current.to[r.Partition] = r.Offset + 1
			var m message
			if decode(r.Value, &m) != nil || m.SensorID == "" || m.Value == nil {
				log.Fatalf("offset %d of partition %d is no reading", r.Offset, r.Partition)
			}
			current.rows = append(current.rows, []any{m.SensorID, m.SensorType, m.Timestamp, *m.Value, m.AlertLevel, r.Partition, r.Offset})
			if len(current.rows) == most {
				batches <- current
				current = fresh()
			}
		})
		count(int64(fetches.NumRecords()))
	}
	batches <- current
	close(batches)
	<-written
}

func store(ctx context.Context, database *pgx.Conn, b *batch) error {
	tx, err := database.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	for partition, to := range b.to {
		moved, err := tx.Exec(ctx, `insert into progress as p values ($1, $2) on conflict (partition) do update set next = $2 where p.next = $3`, partition, to, b.from[partition])
		if err != nil {
			return err
		}
		if moved.RowsAffected() != 1 {
			log.Fatalf("partition %d is no longer ours", partition)
		}
	}
	columns := []string{"sensor_id", "sensor_type", "measured_at", "value", "alert_level", "partition", "log_offset"}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"peer_readings"}, columns, pgx.CopyFromRows(b.rows)); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
