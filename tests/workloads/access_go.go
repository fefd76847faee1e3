// Look-ups in a hash table of slices, as access_rust.rs does them, in a Go program: static, with stacks of its own.
//
// access_go lookup SECONDS [ROUNDS]. The protocol and what counts are those of access.h. Nothing is allocated after
// "ready", and the collector is off: one that began before would still mark, and interrupt threads, after it.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"
	"unsafe"
)

const (
	slots   = 64 * 1024
	keys    = slots / 2
	queries = 16 * 1024
)

var rounds uint64

type table struct {
	keys   []uint64 // 0: empty
	values []uint64
}

type region struct {
	name                  string
	start                 uintptr
	bytes                 uintptr
	loadsEach, storesEach uint64
}

// splitmix64, as in workload.h.
func random(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// Puts keys into the table and gives back those to look for.
func fill(t *table) []uint64 {
	state := uint64(1)
	known := make([]uint64, keys)
	for i := range known {
		key := random(&state) | 1
		slot := key >> 16
		for t.keys[slot%slots] != 0 {
			slot++
		}
		t.keys[slot%slots] = key
		known[i] = key
	}
	for i := range t.values {
		t.values[i] = 1
	}
	wanted := make([]uint64, queries)
	for i := range wanted {
		wanted[i] = known[random(&state)%keys]
	}
	return wanted
}

// Looks all queries up; gives back how many keys were read.
//
//go:noinline
func round(values, known, wanted []uint64) uint64 {
	probes := uint64(0)
	for _, query := range wanted {
		slot := query >> 16
		for known[slot%slots] != query {
			slot++
			probes++
		}
		probes++
		values[slot%slots]++
	}
	return probes
}

func work(t *table, wanted []uint64, seconds, mostRounds uint64) time.Duration {
	began := time.Now()
	for rounds < mostRounds && (seconds == 0 || time.Since(began) < time.Duration(seconds)*time.Second) {
		round(t.values, t.keys, wanted)
		rounds++
	}
	return time.Since(began)
}

func truth(regions []region, elapsed time.Duration) string {
	var loads, stores uint64
	for _, r := range regions {
		loads += rounds * r.loadsEach
		stores += rounds * r.storesEach
	}
	text := fmt.Sprintf(`truth {"pattern":"lookup","optimised":1,"elapsed_ns":%d,"total":{"loads":%d,"stores":%d},"regions":[`,
		elapsed.Nanoseconds(), loads, stores)
	for i, r := range regions {
		comma, of := "", loads+stores
		if i > 0 {
			comma = ","
		}
		if of == 0 {
			of = 1
		}
		here := rounds * (r.loadsEach + r.storesEach)
		text += fmt.Sprintf(`%s{"name":"%s","start":%d,"end":%d,"loads":%d,"stores":%d,"share":%.6f}`, comma, r.name,
			r.start, r.start+r.bytes, rounds*r.loadsEach, rounds*r.storesEach, float64(here)/float64(of))
	}
	return text + "]}\n"
}

func address(words []uint64) uintptr { return uintptr(unsafe.Pointer(&words[0])) }

func waitLine() {
	var one [1]byte
	for {
		n, err := os.Stdin.Read(one[:])
		if n != 1 || err != nil || one[0] == '\n' {
			return
		}
	}
}

func number(index int, otherwise uint64) uint64 {
	if index < len(os.Args) {
		if value, err := strconv.ParseUint(os.Args[index], 10, 64); err == nil {
			return value
		}
	}
	return otherwise
}

func main() {
	if len(os.Args) < 3 || os.Args[1] != "lookup" {
		fmt.Fprintln(os.Stderr, "usage: access_go lookup SECONDS [ROUNDS]")
		os.Exit(2)
	}
	debug.SetGCPercent(-1)
	t := &table{make([]uint64, slots), make([]uint64, slots)}
	wanted := fill(t)
	probes := round(t.values, t.keys, wanted)
	fmt.Printf("rounds %p\nready %d\n", &rounds, os.Getpid())
	waitLine()
	elapsed := work(t, wanted, number(2, 0), number(3, ^uint64(0)))
	all := []region{
		{"queries", address(wanted), 8 * queries, queries, 0},
		{"keys", address(t.keys), 8 * slots, probes, 0},
		{"values", address(t.values), 8 * slots, queries, queries},
	}
	fmt.Print(truth(all, elapsed))
	waitLine()
}
