/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Layers of the integer network on 32 lanes: products of 8-bit numbers, sums of 32 bits, rounded to 8 bits again.
 *
 * AVX-512 VNNI multiplies four unsigned by four signed numbers at a time. AVX2 does so as well, but adds two products
 * in 16 bits, which 255 times two large weights overflow: what would be too much is taken off a weight and multiplied
 * in a further step. Plain C is written as sums of 16-bit products over adjacent numbers, which compilers make vectors of.
 */
#ifndef AMRQ_NETWORK_LAYERS_H
#define AMRQ_NETWORK_LAYERS_H

#include <stdint.h>
#include <string.h>

#include "wide.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

#define INLINE __attribute__((always_inline)) static inline
#define NEVER_INLINE __attribute__((noinline))
#define LANES 32
#define ROOM 40 /* of a row of inputs: the lanes, and zeros on both sides */
#define LEFT 4  /* the first lane's place in it */
#define MOST 128 /* channels of a layer */

enum { PLAIN = 0, AVX2 = 1, VNNI = 2 };

typedef int32_t lanes_t[LANES];

struct layer {
    const int8_t* weights;  /* [outputs, inputs, kernel] */
    const int32_t* biases;  /* [outputs] */
    const int32_t* shifts;  /* [outputs]; of the last layer to the left */
    const uint8_t* offsets; /* [inputs] what is added to them, so that they have no sign */
    const uint8_t* highest; /* [inputs] the largest that they are then */
    int32_t outputs, inputs, kernel, reserved;
    /* Made by `pack_layer`. VNNI: for each four outputs and step four words of weights, each for the word of inputs at one
     * of `places`. AVX2: for each two outputs as many runs as lie below `ends`, each of two places and four words. Plain
     * C: for each output `steps` weights of 16 bits. */
    const int32_t *words, *places, *ends; /* [steps]; [outputs rounded up to 4] */
    const int32_t* starts;                /* [outputs rounded up to 4] the biases, less what offsets add */
    const int32_t* roundings;             /* [outputs rounded up to 4, 4] shift, half, 1 where something is shifted out; left */
    int32_t steps, lefts;                 /* lefts: some shifts are to the left */
};

/* What the inputs of a layer are: words of four channels for the vectors, 16-bit numbers for plain C. */
union inputs {
    int32_t words[MOST / 4 * ROOM];
    int16_t numbers[ROOM * MOST];
};

INLINE int up(int count, int to)
{
    return (count + to - 1) / to * to;
}

/* Numbers between two lanes' inputs in plain C. */
INLINE int stride_of(const struct layer* layer)
{
    return up(layer->inputs, 8);
}

/* --- packing ----------------------------------------------------------------------------------------------------- */

/* Memory that is handed out piece by piece; with `from` NULL it only counts. */
struct memory {
    char* from;
    int64_t used;
};

static void* taken(struct memory* memory, int64_t bytes)
{
    void* found = memory->from ? memory->from + memory->used : NULL;
    memory->used += (bytes + 63) / 64 * 64;
    return found;
}

static int weight_at(const struct layer* layer, int output, int step, int within)
{
    const int input = step / layer->kernel * 4 + within;
    if (output >= layer->outputs || input >= layer->inputs)
        return 0;
    return layer->weights[(output * layer->inputs + input) * layer->kernel + step % layer->kernel];
}

/* Where a step's inputs for the first lane are. */
static int place_of_step(const struct layer* layer, int step)
{
    return step / layer->kernel * ROOM + LEFT + step % layer->kernel - layer->kernel / 2;
}

/* Of a weight, as much as the sum of products has room for, above zero and below. */
static int clipped(int weight, int highest, int32_t room[2])
{
    int32_t* here = room + (weight < 0);
    const int most = *here / highest, size = weight < 0 ? -weight : weight;
    const int used = size < most ? size : most;
    *here -= used * highest;
    return weight < 0 ? -used : used;
}

/* The runs of two outputs for AVX2, into `to` where it is not NULL; returns their number.
 *
 * A run is two steps, whose products are added in 16 bits. What its sums have no room for is left for a run at the end. */
static int32_t pack_runs(const struct layer* layer, int output, int32_t* to)
{
    int8_t left[2][MOST / 4 * 9][4]; /* what weighs on the word of inputs of a step */
    int32_t rooms[2][2][2], count = 0;
    const int steps = up(layer->inputs, 4) / 4 * layer->kernel;
    int any = 1;
    for (int step = 0; step < steps; step++)
        for (int k = 0; k < 8; k++)
            left[k / 4][step][k % 4] = (int8_t)weight_at(layer, output + k / 4, step, k % 4);
    for (int time = 0; any; time++) {
        any = 0;
        for (int step = 0; step < steps; step++) {
            uint32_t words[2] = {0, 0};
            if (time && !memcmp(left[0][step], "\0\0\0", 4) && !memcmp(left[1][step], "\0\0\0", 4))
                continue;
            if (count % 2 == 0)
                for (int k = 0; k < 8; k++)
                    rooms[k / 4][k / 2 % 2][k % 2] = INT16_MAX;
            for (int k = 0; k < 8; k++) {
                int8_t* here = left[k / 4][step] + k % 4;
                const int input = step / layer->kernel * 4 + k % 4;
                const int part = *here ? clipped(*here, layer->highest[input], rooms[k / 4][k / 2 % 2]) : 0;
                *here = (int8_t)(*here - part);
                any |= *here;
                words[k / 4] |= (uint32_t)(uint8_t)part << 8 * (k % 4);
            }
            if (to) {
                int32_t* run = to + count / 2 * 6;
                run[count % 2] = place_of_step(layer, step);
                run[2 + count % 2 * 2] = (int32_t)words[0];
                run[3 + count % 2 * 2] = (int32_t)words[1];
            }
            count++;
        }
    }
    if (count % 2 && to) {
        int32_t* run = to + count / 2 * 6;
        run[1] = run[0];
        run[4] = run[5] = 0;
    }
    return (count + 1) / 2;
}

static void pack_avx2(struct layer* layer, struct memory* memory)
{
    const int rows = up(layer->outputs, 4);
    int32_t count = 0;
    for (int o = 0; o < rows; o += 2)
        count += pack_runs(layer, o, NULL);
    int32_t* words = taken(memory, (int64_t)count * 6 * 4);
    int32_t* ends = taken(memory, (int64_t)rows / 2 * 4);
    if (!memory->from)
        return;
    count = 0;
    for (int o = 0; o < rows; o += 2) {
        count += pack_runs(layer, o, words + 6 * (int64_t)count);
        ends[o / 2] = count;
    }
    layer->words = words;
    layer->ends = ends;
}

static void pack_vnni(struct layer* layer, struct memory* memory)
{
    const int rows = up(layer->outputs, 4), steps = up(layer->inputs, 4) / 4 * layer->kernel;
    int32_t* words = taken(memory, (int64_t)rows * steps * 4);
    int32_t* places = taken(memory, (int64_t)steps * 4);
    if (!memory->from)
        return;
    memset(words, 0, (size_t)rows * steps * 4);
    for (int step = 0; step < steps; step++) {
        places[step] = place_of_step(layer, step);
        for (int o = 0; o < rows; o++)
            for (int k = 0; k < 4; k++)
                words[o / 4 * 4 * steps + 4 * step + o % 4] |=
                    (int32_t)((uint32_t)(uint8_t)weight_at(layer, o, step, k) << 8 * k);
    }
    layer->words = words;
    layer->places = places;
    layer->steps = steps;
}

/* The weights of a layer for plain C: for each output those of the first lane's inputs, then of the next lane's. */
static void pack_plain(struct layer* layer, struct memory* memory)
{
    const int stride = stride_of(layer), steps = stride * layer->kernel;
    int16_t* numbers = taken(memory, (int64_t)layer->outputs * steps * 2);
    if (!memory->from)
        return;
    memset(numbers, 0, (size_t)layer->outputs * steps * 2);
    for (int o = 0; o < layer->outputs; o++)
        for (int i = 0; i < layer->inputs; i++)
            for (int k = 0; k < layer->kernel; k++)
                numbers[o * steps + k * stride + i] = layer->weights[(o * layer->inputs + i) * layer->kernel + k];
    layer->words = (const int32_t*)numbers;
    layer->steps = steps;
}

/* Make of a layer what the kind of instructions needs. */
static void pack_layer(struct layer* layer, int kind, struct memory* memory)
{
    const int rows = up(layer->outputs, 4);
    int32_t* starts = taken(memory, (int64_t)rows * 4);
    int32_t* roundings = taken(memory, (int64_t)rows * 4 * 4);
    (kind == PLAIN ? pack_plain : kind == AVX2 ? pack_avx2 : pack_vnni)(layer, memory);
    if (!memory->from)
        return;
    memset(starts, 0, (size_t)rows * 4);
    memset(roundings, 0, (size_t)rows * 4 * 4);
    layer->lefts = 0;
    for (int o = 0; o < layer->outputs; o++) {
        const int shift = layer->shifts[o];
        starts[o] = layer->biases[o];
        for (int i = 0; kind != PLAIN && i < layer->inputs; i++)
            for (int k = 0; k < layer->kernel; k++)
                starts[o] -= layer->offsets[i] * layer->weights[(o * layer->inputs + i) * layer->kernel + k];
        roundings[4 * o] = shift > 0 ? shift : 0;
        roundings[4 * o + 1] = shift > 0 ? (1 << (shift - 1)) - 1 : 0;
        roundings[4 * o + 2] = shift > 0;
        roundings[4 * o + 3] = shift < 0 ? -shift : 0;
        layer->lefts |= shift < 0;
    }
    layer->starts = starts;
    layer->roundings = roundings;
}

/* --- sums -------------------------------------------------------------------------------------------------------- */

/* Each layer ends in one of three ways: in the inputs of the `next` one, in `pooled` sums over the lanes, one number for
 * each output at `pooled[output][chunk]`, or as sums. The other two are NULL. */
struct results {
    union inputs* next;
    lanes_t* pooled;
    int chunk;
    lanes_t* sums;
};

#ifdef X86
#define ORDER 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15 /* of four outputs' bytes, to stand side by side */

#define WITH_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define WITH_AVX2 __attribute__((target("avx2")))

/* x divided by 2^shift, rounded half to even; where something is shifted to the left, which is rare, limited before. */
WITH_VNNI INLINE __m512i rounded_vnni(__m512i x, const int32_t* by, int lefts)
{
    const __m512i shift = _mm512_set1_epi32(by[0]);
    const __m512i odd = _mm512_and_si512(_mm512_srav_epi32(x, shift), _mm512_set1_epi32(by[2]));
    x = _mm512_srav_epi32(_mm512_add_epi32(_mm512_add_epi32(x, _mm512_set1_epi32(by[1])), odd), shift);
    if (lefts) {
        x = _mm512_min_epi32(_mm512_max_epi32(x, _mm512_setzero_si512()), _mm512_set1_epi32(255));
        x = _mm512_sllv_epi32(x, _mm512_set1_epi32(by[3]));
    }
    return x;
}

WITH_VNNI static void layer_vnni(const struct layer* layer, const int32_t* x, const struct results* to)
{
    const int steps = layer->steps;
    const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(ORDER));
    for (int o = 0; o < layer->outputs; o += 4) {
        const int32_t* w = layer->words + (int64_t)o * steps;
        __m512i a[4], b[4];
        for (int k = 0; k < 4; k++)
            a[k] = b[k] = _mm512_set1_epi32(layer->starts[o + k]);
        for (int step = 0; step < steps; step++, w += 4) {
            const int32_t* from = x + layer->places[step];
            const __m512i p = _mm512_loadu_si512(from), q = _mm512_loadu_si512(from + 16);
            for (int k = 0; k < 4; k++) {
                const __m512i weights = _mm512_set1_epi32(w[k]);
                a[k] = _mm512_dpbusd_epi32(a[k], p, weights);
                b[k] = _mm512_dpbusd_epi32(b[k], q, weights);
            }
        }
        if (to->sums) {
            for (int k = 0; k < 4; k++) {
                _mm512_storeu_si512(to->sums[o + k], a[k]);
                _mm512_storeu_si512(to->sums[o + k] + 16, b[k]);
            }
            continue;
        }
        for (int k = 0; k < 4; k++) {
            a[k] = rounded_vnni(a[k], layer->roundings + 4 * (o + k), layer->lefts);
            b[k] = rounded_vnni(b[k], layer->roundings + 4 * (o + k), layer->lefts);
        }
        if (to->next) {
            int32_t* next = to->next->words + o / 4 * ROOM + LEFT;
            const __m512i p = _mm512_packus_epi16(_mm512_packs_epi32(a[0], a[1]), _mm512_packs_epi32(a[2], a[3]));
            const __m512i q = _mm512_packus_epi16(_mm512_packs_epi32(b[0], b[1]), _mm512_packs_epi32(b[2], b[3]));
            _mm512_storeu_si512(next, _mm512_shuffle_epi8(p, order));
            _mm512_storeu_si512(next + 16, _mm512_shuffle_epi8(q, order));
        } else
            for (int k = 0; k < 4; k += 2) {
                const __m512i both = _mm512_packus_epi16(_mm512_packs_epi32(a[k], b[k]),
                                                         _mm512_packs_epi32(a[k + 1], b[k + 1]));
                const __m512i eights = _mm512_sad_epu8(both, _mm512_setzero_si512());
                const __m256i fours = _mm256_add_epi64(_mm512_castsi512_si256(eights),
                                                       _mm512_extracti64x4_epi64(eights, 1));
                const __m128i twos = _mm_add_epi64(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
                to->pooled[o + k][to->chunk] = _mm_cvtsi128_si32(twos);
                to->pooled[o + k + 1][to->chunk] = _mm_extract_epi32(twos, 2);
            }
    }
}

WITH_AVX2 INLINE __m256i rounded_avx2(__m256i x, const int32_t* by, int lefts)
{
    const __m256i shift = _mm256_set1_epi32(by[0]);
    const __m256i odd = _mm256_and_si256(_mm256_srav_epi32(x, shift), _mm256_set1_epi32(by[2]));
    x = _mm256_srav_epi32(_mm256_add_epi32(_mm256_add_epi32(x, _mm256_set1_epi32(by[1])), odd), shift);
    if (lefts) {
        x = _mm256_min_epi32(_mm256_max_epi32(x, _mm256_setzero_si256()), _mm256_set1_epi32(255));
        x = _mm256_sllv_epi32(x, _mm256_set1_epi32(by[3]));
    }
    return x;
}

/* One vector of 8 lanes in a run, for two outputs. */
#define PRODUCTS(a, b, m)                                                                                             \
    do {                                                                                                              \
        const __m256i p = _mm256_loadu_si256(from + m), q = _mm256_loadu_si256(then + m);                             \
        const __m256i s = _mm256_add_epi16(_mm256_maddubs_epi16(p, w0), _mm256_maddubs_epi16(q, w2));                 \
        const __m256i t = _mm256_add_epi16(_mm256_maddubs_epi16(p, w1), _mm256_maddubs_epi16(q, w3));                 \
        a = _mm256_add_epi32(a, _mm256_madd_epi16(s, ones));                                                          \
        b = _mm256_add_epi32(b, _mm256_madd_epi16(t, ones));                                                          \
    } while (0)

WITH_AVX2 static void layer_avx2(const struct layer* layer, const int32_t* x, const struct results* to)
{
    const __m256i order = _mm256_broadcastsi128_si256(_mm_setr_epi8(ORDER)), ones = _mm256_set1_epi16(1);
    const int32_t* run = layer->words;
    __m256i packed[4] = {ones, ones, ones, ones}; /* of the two outputs before */
    for (int o = 0; o < up(layer->outputs, 4); o += 2) {
        const int32_t* end = layer->words + 6 * (int64_t)layer->ends[o / 2];
        __m256i a0 = _mm256_set1_epi32(layer->starts[o]), a1 = a0, a2 = a0, a3 = a0;
        __m256i b0 = _mm256_set1_epi32(layer->starts[o + 1]), b1 = b0, b2 = b0, b3 = b0;
        for (; run < end; run += 6) {
            const __m256i *from = (const __m256i*)(x + run[0]), *then = (const __m256i*)(x + run[1]);
            const __m256i w0 = _mm256_set1_epi32(run[2]), w1 = _mm256_set1_epi32(run[3]);
            const __m256i w2 = _mm256_set1_epi32(run[4]), w3 = _mm256_set1_epi32(run[5]);
            PRODUCTS(a0, b0, 0);
            PRODUCTS(a1, b1, 1);
            PRODUCTS(a2, b2, 2);
            PRODUCTS(a3, b3, 3);
        }
        if (to->sums) {
            __m256i *first = (__m256i*)to->sums[o], *second = (__m256i*)to->sums[o + 1];
            _mm256_storeu_si256(first, a0);
            _mm256_storeu_si256(first + 1, a1);
            _mm256_storeu_si256(first + 2, a2);
            _mm256_storeu_si256(first + 3, a3);
            _mm256_storeu_si256(second, b0);
            _mm256_storeu_si256(second + 1, b1);
            _mm256_storeu_si256(second + 2, b2);
            _mm256_storeu_si256(second + 3, b3);
            continue;
        }
        const int32_t* by = layer->roundings + 4 * o;
        const int lefts = layer->lefts;
        a0 = rounded_avx2(a0, by, lefts);
        a1 = rounded_avx2(a1, by, lefts);
        a2 = rounded_avx2(a2, by, lefts);
        a3 = rounded_avx2(a3, by, lefts);
        b0 = rounded_avx2(b0, by + 4, lefts);
        b1 = rounded_avx2(b1, by + 4, lefts);
        b2 = rounded_avx2(b2, by + 4, lefts);
        b3 = rounded_avx2(b3, by + 4, lefts);
        if (to->pooled) {
            const __m256i zero = _mm256_setzero_si256();
            const __m256i p = _mm256_packus_epi16(_mm256_packs_epi32(a0, a1), _mm256_packs_epi32(b0, b1));
            const __m256i q = _mm256_packus_epi16(_mm256_packs_epi32(a2, a3), _mm256_packs_epi32(b2, b3));
            const __m256i fours = _mm256_add_epi64(_mm256_sad_epu8(p, zero), _mm256_sad_epu8(q, zero));
            const __m128i twos = _mm_add_epi64(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
            to->pooled[o][to->chunk] = _mm_cvtsi128_si32(twos);
            to->pooled[o + 1][to->chunk] = _mm_extract_epi32(twos, 2);
            continue;
        }
        const __m256i halves[4] = {_mm256_packs_epi32(a0, b0), _mm256_packs_epi32(a1, b1), _mm256_packs_epi32(a2, b2),
                                   _mm256_packs_epi32(a3, b3)};
        if (o % 4 == 0) {
            memcpy(packed, halves, sizeof packed);
            continue;
        }
        __m256i* next = (__m256i*)(to->next->words + o / 4 * ROOM + LEFT);
        for (int m = 0; m < 4; m++) {
            const __m256i both = _mm256_packus_epi16(packed[m], halves[m]);
            _mm256_storeu_si256(next + m, _mm256_shuffle_epi8(both, order));
        }
    }
}
#endif

/* x divided by 2^shift, rounded half to even, saturated to 0 .. 255. */
INLINE void requantise(int32_t* x, int shift)
{
    if (shift > 0) {
        const int32_t half = (1 << (shift - 1)) - 1;
        for (int n = 0; n < LANES; n++) {
            const int32_t value = (x[n] + half + ((x[n] >> shift) & 1)) >> shift;
            x[n] = value < 0 ? 0 : value > 255 ? 255 : value;
        }
    } else {
        for (int n = 0; n < LANES; n++) {
            const int32_t value = x[n] < 0 ? 0 : x[n] > 255 ? 255 : x[n] << -shift;
            x[n] = value > 255 ? 255 : value;
        }
    }
}

/* Sums of one output: products of `steps` numbers side by side, a multiple of 8, at four lanes at a time. */
static void sums_plain(const int16_t* restrict w, const int16_t* restrict x, int steps, int stride, int32_t start,
                       int32_t* restrict sums)
{
    for (int n = 0; n < LANES; n += 4) {
        const int16_t *p = x + n * stride, *q = p + stride, *r = q + stride, *s = r + stride;
        int32_t a = start, b = start, c = start, d = start;
        for (int k = 0; k < steps / 8 * 8; k++) {
            a += p[k] * w[k];
            b += q[k] * w[k];
            c += r[k] * w[k];
            d += s[k] * w[k];
        }
        sums[n] = a;
        sums[n + 1] = b;
        sums[n + 2] = c;
        sums[n + 3] = d;
    }
}

static void layer_plain(const struct layer* layer, const int16_t* x, const struct results* to)
{
    const int stride = stride_of(layer), after = up(layer->outputs, 8);
    const int16_t* w = (const int16_t*)layer->words;
    lanes_t sums;
    x += (LEFT - layer->kernel / 2) * stride;
    for (int o = 0; o < after; o++, w += layer->steps) {
        if (o < layer->outputs)
            sums_plain(w, x, layer->steps, stride, layer->starts[o], sums);
        else
            memset(sums, 0, sizeof sums);
        if (to->sums) {
            if (o < layer->outputs)
                memcpy(to->sums[o], sums, sizeof sums);
            continue;
        }
        requantise(sums, o < layer->outputs ? layer->shifts[o] : 0);
        if (to->next) {
            int16_t* next = to->next->numbers + LEFT * after + o;
            for (int n = 0; n < LANES; n++)
                next[n * after] = (int16_t)sums[n];
        } else if (o < layer->outputs) {
            int32_t sum = 0;
            for (int n = 0; n < LANES; n++)
                sum += sums[n];
            to->pooled[o][to->chunk] = sum;
        }
    }
}

/* Run a layer on what was packed for it. */
NEVER_INLINE static void run_layer(int kind, const struct layer* layer, const union inputs* x, const struct results* to)
{
#ifdef X86
    if (kind == VNNI) {
        layer_vnni(layer, x->words, to);
        return;
    }
    if (kind == AVX2) {
        layer_avx2(layer, x->words, to);
        return;
    }
#endif
    (void)kind;
    layer_plain(layer, x->numbers, to);
}

/* Put channels [channel][lane] side by side, as a layer reads them. */
INLINE void put_inputs(int kind, const struct layer* layer, const lanes_t* from, union inputs* to)
{
    if (kind == PLAIN) {
        const int stride = stride_of(layer);
        for (int c = 0; c < layer->inputs; c++)
            for (int n = 0; n < LANES; n++)
                to->numbers[(LEFT + n) * stride + c] = (int16_t)from[c][n];
        return;
    }
    static const lanes_t nothing;
    for (int c = 0; c < layer->inputs; c += 4) {
        const int32_t* row[4];
        uint32_t offsets = 0;
        for (int k = 0; k < 4; k++) {
            row[k] = c + k < layer->inputs ? from[c + k] : nothing;
            offsets |= (c + k < layer->inputs ? (uint32_t)layer->offsets[c + k] : 0) << 8 * k;
        }
        for (int n = 0; n < LANES; n++) /* numbers with a sign become those 128 larger */
            to->words[c / 4 * ROOM + LEFT + n] =
                (int32_t)(((uint32_t)(row[0][n] & 255) | (uint32_t)(row[1][n] & 255) << 8 |
                           (uint32_t)(row[2][n] & 255) << 16 | (uint32_t)row[3][n] << 24) ^
                          offsets);
    }
}

/* What stands for zero beyond the ends of a layer's rows, and everywhere. */
static void clear_inputs(int kind, const struct layer* layer, union inputs* to)
{
    memset(to, 0, sizeof *to);
    if (kind != PLAIN)
        for (int c = 0; c < layer->inputs; c++)
            for (int n = 0; n < ROOM; n++)
                to->words[c / 4 * ROOM + n] |= (int32_t)((uint32_t)layer->offsets[c] << c % 4 * 8);
}

#endif
