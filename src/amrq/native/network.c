/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The integer network: from received symbols to scores, by docs/integer-network.md, bit for bit what
 * amrq.hardware.IntegerAligner and IntegerNetwork compute; tests/hardware/test_native_engine.py holds them together.
 *
 * Everything works on 32 lanes. At each symbol they are the 32 symbols of a chunk, once a chunk they are 32 chunks.
 * Layers are products of four 8-bit numbers at a time where the processor has them (AVX-512 VNNI), of two 16-bit
 * numbers with AVX2 or without; the caller asks which, and packs the weights for it. The rest are plain loops.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

#define INLINE __attribute__((always_inline)) static inline
#define LANES 32
#define ROOM 40 /* of a row of inputs: the lanes, and zeros on both sides */
#define LEFT 4  /* the first lane's place in it */
#define COPIES 6
#define GRIDS 2
#define CHANNELS 15
#define SUMMARIES 8
#define MOST 128 /* channels of a layer */

enum { PLAIN = 0, AVX2 = 1, VNNI = 2 };

typedef int32_t lanes_t[LANES];

/* A layer: for each output `steps` packed weights, each for the packed inputs at one of `places`. */
struct layer {
    const int32_t* weights; /* [outputs rounded up to 4, steps] */
    const int32_t* places;  /* [steps] */
    const int32_t* biases;  /* [outputs rounded up to 4] */
    const int32_t* shifts;  /* [outputs]; of the last layer to the left */
    int32_t outputs, steps;
};

struct tables {
    const int32_t *level, *shrink, *weights, *magnitude, *cosine; /* [256], [512], [6, 512], [512], [1024] */
};

struct network {
    struct tables tables;
    const struct layer* layers;
    int32_t kind, symbol_layers, head_layers, mean_shift;
    int32_t channels, side, offset; /* of the first layer; what joins the mean; what VNNI's first inputs are too large by */
};

/* The best of the three that this processor can do. */
int amrq_network_kind(void)
{
#ifdef X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
        return VNNI;
    if (__builtin_cpu_supports("avx2"))
        return AVX2;
#endif
    return PLAIN;
}

/* --- layers ------------------------------------------------------------------------------------------------------ */

#ifdef X86
__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void sums_vnni(const struct layer* layer,
                                                                              const int32_t* x, lanes_t* sums)
{
    const int steps = layer->steps;
    for (int o = 0; o < layer->outputs; o += 4) {
        const int32_t* w = layer->weights + (int64_t)o * steps;
        __m512i a0 = _mm512_set1_epi32(layer->biases[o]), b0 = a0;
        __m512i a1 = _mm512_set1_epi32(layer->biases[o + 1]), b1 = a1;
        __m512i a2 = _mm512_set1_epi32(layer->biases[o + 2]), b2 = a2;
        __m512i a3 = _mm512_set1_epi32(layer->biases[o + 3]), b3 = a3;
        for (int step = 0; step < steps; step++) {
            const int32_t* from = x + layer->places[step];
            const __m512i p = _mm512_loadu_si512(from), q = _mm512_loadu_si512(from + 16);
            const __m512i w0 = _mm512_set1_epi32(w[step]), w1 = _mm512_set1_epi32(w[steps + step]);
            const __m512i w2 = _mm512_set1_epi32(w[2 * steps + step]), w3 = _mm512_set1_epi32(w[3 * steps + step]);
            a0 = _mm512_dpbusd_epi32(a0, p, w0);
            b0 = _mm512_dpbusd_epi32(b0, q, w0);
            a1 = _mm512_dpbusd_epi32(a1, p, w1);
            b1 = _mm512_dpbusd_epi32(b1, q, w1);
            a2 = _mm512_dpbusd_epi32(a2, p, w2);
            b2 = _mm512_dpbusd_epi32(b2, q, w2);
            a3 = _mm512_dpbusd_epi32(a3, p, w3);
            b3 = _mm512_dpbusd_epi32(b3, q, w3);
        }
        _mm512_storeu_si512(sums[o], a0);
        _mm512_storeu_si512(sums[o] + 16, b0);
        _mm512_storeu_si512(sums[o + 1], a1);
        _mm512_storeu_si512(sums[o + 1] + 16, b1);
        _mm512_storeu_si512(sums[o + 2], a2);
        _mm512_storeu_si512(sums[o + 2] + 16, b2);
        _mm512_storeu_si512(sums[o + 3], a3);
        _mm512_storeu_si512(sums[o + 3] + 16, b3);
    }
}

/* Two outputs over all lanes. */
__attribute__((target("avx2"))) static void sums_avx2(const struct layer* layer, const int32_t* x, lanes_t* sums)
{
    const int steps = layer->steps;
    for (int o = 0; o < layer->outputs; o += 2) {
        const int32_t* w = layer->weights + (int64_t)o * steps;
        __m256i a0 = _mm256_set1_epi32(layer->biases[o]), a1 = a0, a2 = a0, a3 = a0;
        __m256i b0 = _mm256_set1_epi32(layer->biases[o + 1]), b1 = b0, b2 = b0, b3 = b0;
        for (int step = 0; step < steps; step++) {
            const __m256i* from = (const __m256i*)(x + layer->places[step]);
            const __m256i p0 = _mm256_loadu_si256(from), p1 = _mm256_loadu_si256(from + 1);
            const __m256i p2 = _mm256_loadu_si256(from + 2), p3 = _mm256_loadu_si256(from + 3);
            const __m256i wa = _mm256_set1_epi32(w[step]), wb = _mm256_set1_epi32(w[steps + step]);
            a0 = _mm256_add_epi32(a0, _mm256_madd_epi16(p0, wa));
            a1 = _mm256_add_epi32(a1, _mm256_madd_epi16(p1, wa));
            a2 = _mm256_add_epi32(a2, _mm256_madd_epi16(p2, wa));
            a3 = _mm256_add_epi32(a3, _mm256_madd_epi16(p3, wa));
            b0 = _mm256_add_epi32(b0, _mm256_madd_epi16(p0, wb));
            b1 = _mm256_add_epi32(b1, _mm256_madd_epi16(p1, wb));
            b2 = _mm256_add_epi32(b2, _mm256_madd_epi16(p2, wb));
            b3 = _mm256_add_epi32(b3, _mm256_madd_epi16(p3, wb));
        }
        __m256i* to = (__m256i*)sums[o];
        _mm256_storeu_si256(to, a0);
        _mm256_storeu_si256(to + 1, a1);
        _mm256_storeu_si256(to + 2, a2);
        _mm256_storeu_si256(to + 3, a3);
        _mm256_storeu_si256(to + 4, b0);
        _mm256_storeu_si256(to + 5, b1);
        _mm256_storeu_si256(to + 6, b2);
        _mm256_storeu_si256(to + 7, b3);
    }
}
#endif

static void sums_plain(const struct layer* layer, const int32_t* x, lanes_t* sums)
{
    for (int o = 0; o < layer->outputs; o++) {
        const int32_t* w = layer->weights + (int64_t)o * layer->steps;
        int32_t* to = sums[o];
        for (int n = 0; n < LANES; n++)
            to[n] = layer->biases[o];
        for (int step = 0; step < layer->steps; step++) {
            const int32_t* from = x + layer->places[step];
            const int32_t low = (int16_t)w[step], high = w[step] >> 16;
            if (w[step])
                for (int n = 0; n < LANES; n++)
                    to[n] += (int16_t)from[n] * low + (from[n] >> 16) * high;
        }
    }
}

INLINE void sums_of(int kind, const struct layer* layer, const int32_t* x, lanes_t* sums)
{
#ifdef X86
    if (kind == VNNI) {
        sums_vnni(layer, x, sums);
        return;
    }
    if (kind == AVX2) {
        sums_avx2(layer, x, sums);
        return;
    }
#endif
    (void)kind;
    sums_plain(layer, x, sums);
}

/* x divided by 2^shift, rounded half to even, saturated to 0 .. 255. */
INLINE void requantise(lanes_t x, int shift)
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

/* Put channels side by side, as the layers read them: four to a lane, or two. */
INLINE void pack(int kind, const lanes_t* from, int channels, int32_t* to)
{
    if (kind == VNNI)
        for (int c = 0; c < channels; c += 4)
            for (int n = 0; n < LANES; n++)
                to[c / 4 * ROOM + LEFT + n] = (int32_t)((uint32_t)from[c][n] | (uint32_t)from[c + 1][n] << 8 |
                                                        (uint32_t)from[c + 2][n] << 16 | (uint32_t)from[c + 3][n] << 24);
    else
        for (int c = 0; c < channels; c += 2)
            for (int n = 0; n < LANES; n++)
                to[c / 2 * ROOM + LEFT + n] =
                    (int32_t)((uint32_t)(uint16_t)from[c][n] | (uint32_t)from[c + 1][n] << 16);
}

/* --- the aligner ------------------------------------------------------------------------------------------------- */

/* What is kept of 32 chunks. */
struct block {
    lanes_t re[LANES], im[LANES];                       /* coordinates, [chunk][symbol] */
    lanes_t rows[LANES];                                /* of the tables */
    lanes_t copies_re[LANES][COPIES], copies_im[LANES][COPIES]; /* turned */
    lanes_t sum_c[COPIES], sum_s[COPIES];               /* [copy][chunk] */
    lanes_t angle[COPIES];
    lanes_t turn_c[COPIES], turn_s[COPIES];
    lanes_t power[GRIDS], c[GRIDS], s[GRIDS], near_power[GRIDS], gain_c[GRIDS], gain_s[GRIDS];
    lanes_t side[SUMMARIES]; /* [number][chunk] */
};

INLINE int32_t rounded(int32_t value, int shift)
{
    return (value + (1 << (shift - 1))) >> shift;
}

/* Level control of one chunk, stage 1, and its rows, stage 2. */
INLINE void level(const struct tables* t, const int16_t* iq, int32_t* re, int32_t* im, int32_t* rows)
{
    int32_t largest = 0, power = 0, used = 0, halvings = 0;
    for (int n = 0; n < 2 * LANES; n++) {
        const int32_t size = iq[n] < 0 ? -iq[n] : iq[n];
        largest = size > largest ? size : largest;
    }
    while (used < 16 && largest >> used)
        used++;
    for (int n = 0; n < LANES; n++) {
        re[n] = rounded((int32_t)((uint32_t)(int32_t)iq[n] << (16 - used)), 5);
        im[n] = rounded((int32_t)((uint32_t)(int32_t)iq[LANES + n] << (16 - used)), 5);
        power += (re[n] * re[n] + im[n] * im[n]) >> 4;
    }
    while (halvings < 4 && power >> (18 + 2 * halvings))
        halvings++;
    const int32_t gain = t->level[power >> (10 + 2 * halvings)], shift = 10 + halvings;
    for (int n = 0; n < LANES; n++) {
        re[n] = rounded(re[n] * gain, shift);
        im[n] = rounded(im[n] * gain, shift);
        const int32_t q = re[n] * re[n] + im[n] * im[n];
        rows[n] = q < 1 << 14 ? q >> 7 : q < 1 << 20 ? 128 + (q >> 12) : 384 + (q >> 17);
    }
}

INLINE int32_t weighed(const int32_t* weights, const int32_t* rows, const int32_t* values)
{
    int32_t sum = 0;
    for (int n = 0; n < LANES; n++)
        sum += weights[rows[n]] * values[n];
    return sum;
}

/* Powers of the phase of one chunk, stage 3, and their sums. */
INLINE void phase_sums(const struct tables* t, const int32_t* re, const int32_t* im, const int32_t* rows, int chunk,
                       struct block* b)
{
    static const int first[4] = {0, 1, 4, 5}, after[4] = {1, 4, 5, 6};
    lanes_t c, s;
    for (int n = 0; n < LANES; n++) {
        const int32_t shrink = t->shrink[rows[n]];
        c[n] = (((re[n] * re[n] - im[n] * im[n]) >> 8) * shrink) >> 9;
        s[n] = (((2 * re[n] * im[n]) >> 8) * shrink) >> 9;
    }
    for (int power = 0; power < 4; power++) {
        for (int k = first[power]; k < after[power]; k++) {
            b->sum_c[k][chunk] = weighed(t->weights + 512 * k, rows, c);
            b->sum_s[k][chunk] = weighed(t->weights + 512 * k, rows, s);
        }
        for (int n = 0; n < LANES; n++) {
            const int32_t real = (c[n] * c[n] - s[n] * s[n]) >> 11;
            s[n] = (c[n] * s[n]) >> 10;
            c[n] = real;
        }
    }
}

/* CORDIC: x becomes the magnitude, times 1.64676. */
INLINE void cordic(int32_t* restrict x, int32_t* restrict y, int32_t* restrict angle)
{
    static const int32_t turns[12] = {8192, 4836, 2555, 1297, 651, 326, 163, 81, 41, 20, 10, 5};
    for (int n = 0; n < LANES; n++) {
        const int32_t behind = -(x[n] < 0);
        x[n] = (x[n] ^ behind) - behind;
        y[n] = (y[n] ^ behind) - behind;
        angle[n] = behind & 32768;
    }
    for (int i = 0; i < 12; i++)
        for (int n = 0; n < LANES; n++) {
            const int32_t down = y[n] >> 31; /* -1 where y < 0 */
            const int32_t dx = y[n] >> i, dy = x[n] >> i;
            x[n] += (dx ^ down) - down;
            y[n] -= (dy ^ down) - down;
            angle[n] += (turns[i] ^ down) - down;
        }
    for (int n = 0; n < LANES; n++)
        angle[n] = (int16_t)angle[n];
}

INLINE int32_t place_of(int32_t angle)
{
    return ((angle + 32) >> 6) & 1023;
}

/* Stage 4, of 32 chunks. */
INLINE void roots(const struct tables* t, struct block* b)
{
    static const int shifts[COPIES] = {1, 2, 2, 2, 3, 4};
    lanes_t x, y;
    for (int k = 0; k < COPIES; k++) {
        for (int n = 0; n < LANES; n++) {
            x[n] = rounded(b->sum_c[k][n], 7);
            y[n] = rounded(b->sum_s[k][n], 7);
        }
        cordic(x, y, b->angle[k]);
        for (int n = 0; n < LANES; n++) {
            const int32_t agreement = rounded(x[n] * 39, 14);
            b->side[k][n] = agreement > 255 ? 255 : agreement;
        }
    }
    for (int k = COPIES - 1; k >= 0; k--)
        for (int n = 0; n < LANES; n++) {
            const int32_t second = b->angle[0][n], half = second >> 1;
            const int32_t relative = (int16_t)(b->angle[k][n] - (second << (shifts[k] - 1)) - 16384);
            const int32_t angle = k ? half + (relative >> shifts[k]) + (16384 >> shifts[k]) : half;
            const int32_t place = place_of(angle);
            b->turn_c[k][n] = t->cosine[place];
            b->turn_s[k][n] = t->cosine[(place - 256) & 1023];
        }
}

/* Stage 5, of one chunk. */
INLINE void turn(int chunk, struct block* b)
{
    const int32_t *re = b->re[chunk], *im = b->im[chunk];
    for (int k = 0; k < COPIES; k++) {
        const int32_t c = b->turn_c[k][chunk], s = b->turn_s[k][chunk];
        for (int n = 0; n < LANES; n++) {
            b->copies_re[chunk][k][n] = rounded(re[n] * c + im[n] * s, 11);
            b->copies_im[chunk][k][n] = rounded(im[n] * c - re[n] * s, 11);
        }
    }
}

/* The nearest odd multiple of the step of a grid with two thresholds; equal ones count once. */
INLINE int32_t nearest(int32_t x, int32_t first, int32_t second)
{
    const int32_t size = x < 0 ? -x : x;
    const int32_t multiple = 1 + 2 * (size >= first) + 2 * (size >= second);
    return x < 0 ? -multiple : multiple;
}

/* The sums of stage 6, of one chunk. */
INLINE void project(int grid, int chunk, struct block* b)
{
    const int32_t *re = b->copies_re[chunk][2 + grid], *im = b->copies_im[chunk][2 + grid];
    const int32_t low = grid ? 229 : 324, high = grid ? 458 : INT32_MAX;
    int32_t power = 0, c = 0, s = 0, near_power = 0;
    for (int n = 0; n < LANES; n++) {
        const int32_t u = nearest(re[n], low, high), v = nearest(im[n], low, high);
        power += re[n] * re[n] + im[n] * im[n];
        c += u * re[n] + v * im[n];
        s += v * re[n] - u * im[n];
        near_power += u * u + v * v;
    }
    b->power[grid][chunk] = power;
    b->c[grid][chunk] = c;
    b->s[grid][chunk] = s;
    b->near_power[grid][chunk] = near_power;
}

/* What follows from them, of 32 chunks. */
INLINE void fit(const struct tables* t, int grid, struct block* b)
{
    const int32_t points_power = grid ? 20 : 10, numerator = grid ? 24711280 : 34947028;
    lanes_t x, y, angle;
    memcpy(x, b->c[grid], sizeof x);
    memcpy(y, b->s[grid], sizeof y);
    cordic(x, y, angle);
    for (int n = 0; n < LANES; n++) {
        /* Quotients below 2^27 of whole numbers, rounded once in double precision, round down to the right integer. */
        const int32_t ratio = (int32_t)((double)(x[n] * 64) / (double)b->near_power[grid][n]);
        int32_t gain = (int32_t)((double)numerator / (double)(ratio < 1 ? 1 : ratio));
        gain = gain < 1024 ? 1024 : gain > 4095 ? 4095 : gain;
        const int64_t explained = ((((int64_t)x[n] * ratio) >> 8) * 3021) >> 11;
        const int64_t left = b->power[grid][n] - explained;
        const int64_t misfit = ((left < 0 ? 0 : left) * points_power + (1 << 17)) >> 18;
        b->side[COPIES + grid][n] = misfit > 255 ? 255 : (int32_t)misfit;
        const int32_t place = place_of(angle[n]);
        b->gain_c[grid][n] = (t->cosine[place] * gain) >> 11;
        b->gain_s[grid][n] = (t->cosine[(place - 256) & 1023] * gain) >> 11;
    }
}

/* The turning of stage 6, of one chunk. */
INLINE void turn_fitted(int grid, int chunk, struct block* b)
{
    int32_t *re = b->copies_re[chunk][2 + grid], *im = b->copies_im[chunk][2 + grid];
    const int32_t c = b->gain_c[grid][chunk], s = b->gain_s[grid][chunk];
    for (int n = 0; n < LANES; n++) {
        const int32_t real = rounded(re[n] * c - im[n] * s, 11);
        im[n] = rounded(re[n] * s + im[n] * c, 11);
        re[n] = real;
    }
}

/* Stage 7, of one chunk: 15 channels; `offset` is added to all. */
INLINE void features(const struct tables* t, const struct block* b, int chunk, int32_t offset, lanes_t* to)
{
    const int32_t *re = b->re[chunk], *im = b->im[chunk], *rows = b->rows[chunk];
    for (int part = 0; part < 2; part++)
        for (int k = 0; k < COPIES; k++) {
            const int32_t* from = part ? b->copies_im[chunk][k] : b->copies_re[chunk][k];
            for (int n = 0; n < LANES; n++) {
                const int32_t size = rounded(from[n] < 0 ? -from[n] : from[n], 4);
                to[part * COPIES + k][n] = (size > 127 ? 127 : size) + offset;
            }
        }
    int32_t before_re[LANES], before_im[LANES];
    before_re[0] = re[LANES - 1];
    before_im[0] = im[LANES - 1];
    memcpy(before_re + 1, re, (LANES - 1) * sizeof *re);
    memcpy(before_im + 1, im, (LANES - 1) * sizeof *im);
    for (int n = 0; n < LANES; n++) {
        const int32_t c = rounded(re[n] * before_re[n] + im[n] * before_im[n], 13);
        const int32_t s = rounded(im[n] * before_re[n] - re[n] * before_im[n], 13);
        to[12][n] = (c < -128 ? -128 : c > 127 ? 127 : c) + offset;
        to[13][n] = (s < -128 ? -128 : s > 127 ? 127 : s) + offset;
        to[14][n] = t->magnitude[rows[n]] + offset;
    }
}

/* Align 32 chunks up to what the copies hold at the end. */
WIDE void amrq_network_align(const struct tables* t, const int16_t* iq, struct block* b)
{
    for (int chunk = 0; chunk < LANES; chunk++) {
        level(t, iq + 2 * LANES * chunk, b->re[chunk], b->im[chunk], b->rows[chunk]);
        phase_sums(t, b->re[chunk], b->im[chunk], b->rows[chunk], chunk, b);
    }
    roots(t, b);
    for (int chunk = 0; chunk < LANES; chunk++)
        turn(chunk, b);
    for (int time = 0; time < 2; time++)
        for (int grid = 0; grid < GRIDS; grid++) {
            for (int chunk = 0; chunk < LANES; chunk++)
                project(grid, chunk, b);
            fit(t, grid, b);
            for (int chunk = 0; chunk < LANES; chunk++)
                turn_fitted(grid, chunk, b);
        }
}

/* --- the network ------------------------------------------------------------------------------------------------- */

/* Room for what a layer reads: packed rows, with what stands for zero beyond the ends. */
INLINE void clear(int32_t* to, int rows, int32_t zero)
{
    for (int k = 0; k < rows * ROOM; k++)
        to[k] = zero;
}

/* Inputs of one chunk as they were given: [channels, 32]. */
INLINE void take(const int16_t* given, int channels, int32_t offset, lanes_t* to)
{
    for (int c = 0; c < channels; c++)
        for (int n = 0; n < LANES; n++)
            to[c][n] = given[c * LANES + n] + offset;
}

/* The layers at each symbol, of 32 chunks, aligned or given; the mean's sums are left in `pooled`, [channel][chunk]. */
WIDE void amrq_network_symbols(const struct network* net, const struct block* b, const int16_t* given, lanes_t* pooled)
{
    int32_t first[MOST / 2 * ROOM], packed[MOST / 2 * ROOM];
    lanes_t values[MOST + 4];
    const int kind = net->kind, channels = net->channels, offset = net->offset;
    clear(first, MOST / 2, (int32_t)((uint32_t)offset * 0x01010101u));
    clear(packed, MOST / 2, 0);
    for (int chunk = 0; chunk < LANES; chunk++) {
        if (b)
            features(&net->tables, b, chunk, offset, values);
        else
            take(given + (int64_t)chunk * channels * LANES, channels, offset, values);
        memset(values + channels, 0, 3 * sizeof *values);
        pack(kind, (const lanes_t*)values, channels, first);
        for (int k = 0; k < net->symbol_layers; k++) {
            const struct layer* layer = net->layers + k;
            sums_of(kind, layer, k ? packed : first, values);
            for (int o = 0; o < layer->outputs; o++)
                requantise(values[o], layer->shifts[o]);
            if (k + 1 < net->symbol_layers) {
                pack(kind, (const lanes_t*)values, layer->outputs, packed);
                continue;
            }
            for (int o = 0; o < layer->outputs; o++) {
                int32_t sum = 0;
                for (int n = 0; n < LANES; n++)
                    sum += values[o][n];
                pooled[o][chunk] = sum;
            }
        }
    }
}

/* The layers once a chunk, of 32 chunks: the last one's sums are left in `values`. */
WIDE void amrq_network_head(const struct network* net, lanes_t* pooled, int channels, const lanes_t* side,
                            lanes_t* values)
{
    int32_t packed[MOST / 2 * ROOM];
    for (int o = 0; o < channels; o++)
        requantise(pooled[o], net->mean_shift);
    for (int k = 0; k < net->side; k++)
        memcpy(pooled[channels + k], side[k], sizeof *side);
    memset(pooled[channels + net->side], 0, 3 * sizeof *pooled);
    pack(net->kind, (const lanes_t*)pooled, channels + net->side, packed);
    for (int k = 0; k < net->head_layers; k++) {
        const struct layer* layer = net->layers + net->symbol_layers + k;
        sums_of(net->kind, layer, packed, values);
        if (k + 1 < net->head_layers) {
            for (int o = 0; o < layer->outputs; o++)
                requantise(values[o], layer->shifts[o]);
            pack(net->kind, (const lanes_t*)values, layer->outputs, packed);
        }
    }
}

/* Chunks of unit RMS as 16-bit integers; see IntegerAligner.received. */
WIDE void amrq_network_received(const float* iq, int64_t count, int16_t* to)
{
    for (int64_t n = 0; n < count; n++) {
        const float value = rintf(iq[n] * 4096.0f);
        to[n] = (int16_t)(value < -32768.0f ? -32768.0f : value > 32767.0f ? 32767.0f : value);
    }
}

/* What is left of `count` rows from `start` on, at most 32; fewer are copied to `last`, zeros behind them. */
static const int16_t* rows_of(const int16_t* from, int64_t start, int64_t count, int64_t width, int16_t* last)
{
    from += start * width;
    if (count - start >= LANES)
        return from;
    memset(last, 0, (size_t)(LANES * width) * sizeof *last);
    return memcpy(last, from, (size_t)((count - start) * width) * sizeof *last);
}

static void put_scores(const struct layer* end, lanes_t* values, int64_t start, int64_t count, int64_t* scores)
{
    const int64_t here = count - start < LANES ? count - start : LANES;
    for (int64_t chunk = 0; chunk < here; chunk++)
        for (int o = 0; o < end->outputs; o++)
            scores[(start + chunk) * end->outputs + o] = (int64_t)((uint64_t)(int64_t)values[o][chunk] << end->shifts[o]);
}

/* Scores of chunks.
 *
 * iq: [count, 2, 32]; scores: [count, outputs of the last layer], the sums brought to one unit.
 */
void amrq_network_run(const struct network* net, const int16_t* iq, int64_t count, int64_t* scores)
{
    struct block b;
    lanes_t pooled[MOST + 4], values[MOST + 4];
    int16_t last[2 * LANES * LANES];
    const int channels = net->layers[net->symbol_layers - 1].outputs;
    for (int64_t start = 0; start < count; start += LANES) {
        amrq_network_align(&net->tables, rows_of(iq, start, count, 2 * LANES, last), &b);
        amrq_network_symbols(net, &b, NULL, pooled);
        amrq_network_head(net, pooled, channels, (const lanes_t*)b.side, values);
        put_scores(net->layers + net->symbol_layers + net->head_layers - 1, values, start, count, scores);
    }
}

/* Scores of what the network is given: symbols [count, channels, 32], side [count, numbers that join the mean]. */
void amrq_network_layers(const struct network* net, const int16_t* symbols, const int16_t* side, int64_t count,
                         int64_t* scores)
{
    lanes_t pooled[MOST + 4], values[MOST + 4], sides[MOST];
    int16_t last[MOST * LANES * LANES], last_side[MOST * LANES];
    const int channels = net->layers[net->symbol_layers - 1].outputs;
    for (int64_t start = 0; start < count; start += LANES) {
        const int16_t* here = rows_of(side, start, count, net->side, last_side);
        for (int k = 0; k < net->side; k++)
            for (int chunk = 0; chunk < LANES; chunk++)
                sides[k][chunk] = here[chunk * net->side + k];
        const int64_t width = (int64_t)net->channels * LANES;
        amrq_network_symbols(net, NULL, rows_of(symbols, start, count, width, last), pooled);
        amrq_network_head(net, pooled, channels, (const lanes_t*)sides, values);
        put_scores(net->layers + net->symbol_layers + net->head_layers - 1, values, start, count, scores);
    }
}
