/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The integer phase aligner and level control, stages 1 to 7 of docs/integer-network.md, on 32 chunks at a time.
 *
 * At each symbol the lanes are the 32 symbols of a chunk; once a chunk they are the 32 chunks.
 */
#ifndef AMRQ_NETWORK_ALIGNER_H
#define AMRQ_NETWORK_ALIGNER_H

#include <stdint.h>
#include <string.h>

#include "network_layers.h"
#include "wide.h"

#define COPIES 6
#define GRIDS 2
#define CHANNELS 15
#define SUMMARIES 8

struct tables {
    const int32_t *level, *shrink, *weights, *magnitude, *cosine; /* [256], [512], [6, 512], [512], [1024] */
};

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
            const int32_t relative = (int16_t)(b->angle[k][n] - (int32_t)((uint32_t)second << (shifts[k] - 1)) - 16384);
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

/* Stage 7, of one chunk: 15 channels. */
INLINE void features(const struct tables* t, const struct block* b, int chunk, lanes_t* to)
{
    const int32_t *re = b->re[chunk], *im = b->im[chunk], *rows = b->rows[chunk];
    for (int part = 0; part < 2; part++)
        for (int k = 0; k < COPIES; k++) {
            const int32_t* from = part ? b->copies_im[chunk][k] : b->copies_re[chunk][k];
            for (int n = 0; n < LANES; n++) {
                const int32_t size = rounded(from[n] < 0 ? -from[n] : from[n], 4);
                to[part * COPIES + k][n] = size > 127 ? 127 : size;
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
        to[12][n] = c < -128 ? -128 : c > 127 ? 127 : c;
        to[13][n] = s < -128 ? -128 : s > 127 ? 127 : s;
        to[14][n] = t->magnitude[rows[n]];
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

#endif
