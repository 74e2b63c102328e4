;; The Internet checksum (RFC 1071) of a range of the imported memory, 64 bytes at a time.
;;
;; Words are added as little-endian ones, which the processor loads, into 64 bits. A one's complement
;; sum does not depend on the order of bytes if the result is swapped (RFC 1071, 2 (B)). To swap is to
;; multiply by 256, since 65536 is 1 modulo 65535.
;;
;; checksum-module.ts carries the assembled bytes, and scripts/checksum-module.test.mjs compares them.
(module
  (import "netmem" "memory" (memory 0))
  (func (export "sum") (param $at i32) (param $left i32) (param $initial i32) (result i32)
    ;; Rounds of 64 bytes until the lanes have to be emptied.
    (local $rounds i32)
    (local $total i64)
    ;; Four sums of 32 bits each, twice, so that one addition need not wait for the other.
    (local $lanes v128)
    (local $other v128)

    (local.set $total (i64.shl (i64.extend_i32_u (local.get $initial)) (i64.const 8)))

    (block $blocks_done
      (loop $blocks
        (local.set $rounds (i32.shr_u (local.get $left) (i32.const 6)))
        (br_if $blocks_done (i32.eqz (local.get $rounds)))
        ;; A round adds at most 4 * 65535 to a lane.
        (local.set $rounds
          (select (local.get $rounds) (i32.const 16384)
            (i32.lt_u (local.get $rounds) (i32.const 16384))))
        (local.set $left
          (i32.sub (local.get $left) (i32.shl (local.get $rounds) (i32.const 6))))
        (local.set $lanes (v128.const i64x2 0 0))
        (local.set $other (v128.const i64x2 0 0))
        (loop $round
          (local.set $lanes
            (i32x4.add (local.get $lanes)
              (i32x4.extadd_pairwise_i16x8_u (v128.load align=1 (local.get $at)))))
          (local.set $other
            (i32x4.add (local.get $other)
              (i32x4.extadd_pairwise_i16x8_u (v128.load offset=16 align=1 (local.get $at)))))
          (local.set $lanes
            (i32x4.add (local.get $lanes)
              (i32x4.extadd_pairwise_i16x8_u (v128.load offset=32 align=1 (local.get $at)))))
          (local.set $other
            (i32x4.add (local.get $other)
              (i32x4.extadd_pairwise_i16x8_u (v128.load offset=48 align=1 (local.get $at)))))
          (local.set $at (i32.add (local.get $at) (i32.const 64)))
          (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
          (br_if $round (local.get $rounds)))
        (local.set $lanes
          (i64x2.add
            (i64x2.add
              (i64x2.extend_low_i32x4_u (local.get $lanes))
              (i64x2.extend_high_i32x4_u (local.get $lanes)))
            (i64x2.add
              (i64x2.extend_low_i32x4_u (local.get $other))
              (i64x2.extend_high_i32x4_u (local.get $other)))))
        (local.set $total
          (i64.add (local.get $total)
            (i64.add
              (i64x2.extract_lane 0 (local.get $lanes))
              (i64x2.extract_lane 1 (local.get $lanes)))))
        (br $blocks)))

    ;; Less than 64 bytes are left.
    (block $words_done
      (loop $words
        (br_if $words_done (i32.lt_u (local.get $left) (i32.const 4)))
        (local.set $total
          (i64.add (local.get $total) (i64.load32_u align=1 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (local.set $left (i32.sub (local.get $left) (i32.const 4)))
        (br $words)))
    (if (i32.ge_u (local.get $left) (i32.const 2))
      (then
        (local.set $total
          (i64.add (local.get $total) (i64.load16_u align=1 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (local.set $left (i32.sub (local.get $left) (i32.const 2)))))
    ;; The low byte of a little-endian word: zero is behind it.
    (if (local.get $left)
      (then
        (local.set $total
          (i64.add (local.get $total) (i64.load8_u (local.get $at))))))

    ;; 2 GiB make less than 2^46, so nothing overflows. Folding leaves 33, 18, 17 and 16 bits.
    (local.set $total (i64.shl (local.get $total) (i64.const 8)))
    (local.set $total
      (i64.add
        (i64.and (local.get $total) (i64.const 0xffffffff))
        (i64.shr_u (local.get $total) (i64.const 32))))
    (local.set $total
      (i64.add
        (i64.and (local.get $total) (i64.const 0xffff))
        (i64.shr_u (local.get $total) (i64.const 16))))
    (local.set $total
      (i64.add
        (i64.and (local.get $total) (i64.const 0xffff))
        (i64.shr_u (local.get $total) (i64.const 16))))
    (local.set $total
      (i64.add
        (i64.and (local.get $total) (i64.const 0xffff))
        (i64.shr_u (local.get $total) (i64.const 16))))
    (i32.wrap_i64 (local.get $total))))
