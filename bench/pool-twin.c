/*
 * The pool's fast path and its ring in C, with the same data and the same checks as
 * src/pool/page-pool.ts: one 32-bit state per slot, compared with the handle on every put, the next
 * generation on every put, a cache of 128 and a refill of 64 from the ring. Prints nanoseconds per
 * alloc and put as JSON.
 *
 * alloc and put are calls, as they are for a program that uses a pool from a library. Inlined into
 * the loop they take about half of that, which is printed too.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CACHE_SIZE = 128, CACHE_REFILL = 64, RING_SIZE = 1024, SLOTS = 64, BASE = 0 };
enum { INDEX_SHIFT = 1, INDEX_BITS = 20 };
#define INDEX_MASK ((1 << INDEX_BITS) - 1)
#define GENERATION_STEP (1 << (INDEX_SHIFT + INDEX_BITS))
#define HANDLE_MASK 0x7fffffff

struct pool {
	int32_t cache[CACHE_SIZE];
	int32_t cached, cache_limit;
	int32_t *state;
	int32_t slots, base;
	uint64_t fast, ring_puts, refill;
	int32_t ring[RING_SIZE];
	uint32_t head, tail;
};

static __attribute__((noinline)) int32_t alloc_slow(struct pool *p)
{
	while (p->cached < CACHE_REFILL && p->head != p->tail)
		p->cache[p->cached++] = p->ring[p->head++ & (RING_SIZE - 1)];
	if (p->cached == 0)
		return -1;
	p->refill++;
	return p->cache[--p->cached];
}

static inline int32_t alloc_inline(struct pool *p)
{
	int32_t cached = p->cached;
	if (cached > 0) {
		p->cached = cached - 1;
		p->fast++;
		return p->cache[cached - 1];
	}
	return alloc_slow(p);
}

static __attribute__((noinline)) void put_slow(struct pool *p, int32_t handle, uint32_t slot)
{
	if (slot >= (uint32_t)p->slots || p->state[slot] != handle)
		abort();
	int32_t next = (int32_t)(((uint32_t)handle + GENERATION_STEP) & HANDLE_MASK);
	p->state[slot] = next;
	if (p->tail - p->head >= RING_SIZE)
		abort();
	p->ring[p->tail++ & (RING_SIZE - 1)] = next;
	p->ring_puts++;
}

static inline void put_inline(struct pool *p, int32_t handle, int allow_direct)
{
	uint32_t slot = (uint32_t)(((handle >> INDEX_SHIFT) & INDEX_MASK) - p->base);
	int32_t cached = p->cached;
	if (slot < (uint32_t)p->slots && p->state[slot] == handle && allow_direct &&
	    cached < p->cache_limit) {
		int32_t next = (int32_t)(((uint32_t)handle + GENERATION_STEP) & HANDLE_MASK);
		p->state[slot] = next;
		p->cache[cached] = next;
		p->cached = cached + 1;
		return;
	}
	put_slow(p, handle, slot);
}

static __attribute__((noinline)) int32_t alloc_call(struct pool *p) { return alloc_inline(p); }
static __attribute__((noinline)) void put_call(struct pool *p, int32_t handle, int direct)
{
	put_inline(p, handle, direct);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Keeps the compiler from holding the pool in registers from one round to the next. */
#define barrier() __asm__ volatile("" ::: "memory")

static double run(struct pool *p, long rounds, int direct, int inlined)
{
	double start = now();
	for (long i = 0; i < rounds; i++) {
		if (inlined) {
			int32_t handle = alloc_inline(p);
			barrier();
			put_inline(p, handle, direct);
			barrier();
		} else {
			put_call(p, alloc_call(p), direct);
		}
	}
	return (now() - start) / (double)rounds;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 50000000;
	double ns[2][2];
	for (int inlined = 0; inlined < 2; inlined++) {
		struct pool *p = calloc(1, sizeof *p);
		p->state = calloc(SLOTS, sizeof *p->state);
		p->slots = SLOTS;
		p->base = BASE;
		p->cache_limit = CACHE_SIZE;
		for (int32_t i = 0; i < SLOTS; i++)
			p->cache[p->cached++] = p->state[i] = GENERATION_STEP | (i << INDEX_SHIFT);
		for (int ring = 0; ring < 2; ring++) {
			run(p, rounds / 10, !ring, inlined);
			ns[inlined][ring] = run(p, rounds, !ring, inlined);
		}
		if (p->cached + (int)(p->tail - p->head) != SLOTS || !p->ring_puts || !p->refill)
			abort();
	}
	printf("{\"cache\":%.3f,\"ring\":%.3f,\"cacheInlined\":%.3f,\"ringInlined\":%.3f}\n",
	       ns[0][0], ns[0][1], ns[1][0], ns[1][1]);
	return 0;
}
