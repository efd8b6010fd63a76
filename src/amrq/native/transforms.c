/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Discrete Fourier transforms in single precision, of lengths with no factor above 11: Stockham's, which needs no
 * reordering at its end (Van Loan, Computational Frameworks for the Fast Fourier Transform, 1992, section 1.7). Between
 * the first and the last step real and imaginary parts are apart, and so many columns are computed at a time as there are
 * lanes. `amrq.transforms` makes the plan, and says what SciPy does instead; tests/test_transforms.py holds one against
 * the other.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define LANES 8
#define MOST_RADIX 11
#define TURN 6.283185307179586476925
#define BLOCK 64
#define FINE 64 /* roots of a length that are computed one by one; all others are products of two */
#define APART 48 /* numbers between arrays, which would otherwise share the few lines of a cache where lengths are powers of two */

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t picks __attribute__((vector_size(4 * LANES)));

/* One step of a plan: columns of a radix that are `stride` apart, and where its turns and places begin. */
struct step {
    int64_t radix, stride, columns, turns, places;
};

typedef float anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* As macros: a function that is given or returns lanes would need AVX to be one. */
#define load(from) (*(const anywhere*)(from))
#define store(to, value) (*(anywhere*)(to) = (value))
#define all(value) ((lanes){ value, value, value, value, value, value, value, value })

/* cos and sin of 2 pi k / radix. */
static const float COSINES_3[] = { 1.0f, -0.5f };
static const float SINES_3[] = { 0.0f, 0.86602540378443865f };
static const float COSINES_5[] = { 1.0f, 0.30901699437494742f, -0.80901699437494742f };
static const float SINES_5[] = { 0.0f, 0.95105651629515357f, 0.58778525229247313f };
static const float COSINES_7[] = { 1.0f, 0.62348980185873353f, -0.22252093395631440f, -0.90096886790241913f };
static const float SINES_7[] = { 0.0f, 0.78183148246802981f, 0.97492791218182361f, 0.43388373911755812f };
static const float COSINES_11[] = { 1.0f, 0.84125353283118117f, 0.41541501300188643f,
                                    -0.14231483827328514f, -0.65486073394528506f, -0.95949297361449739f };
static const float SINES_11[] = { 0.0f, 0.54064081745559758f, 0.90963199535451837f,
                                  0.98982144188093274f, 0.75574957435425829f, 0.28173255684142970f };

/* The transform of an odd prime's columns: sums and differences of those that mirror each other. */
INLINE void odd(const int radix, const float* cosines, const float* sines, lanes* re, lanes* im)
{
    const int half = radix / 2;
    lanes sum_re[MOST_RADIX / 2], sum_im[MOST_RADIX / 2], off_re[MOST_RADIX / 2], off_im[MOST_RADIX / 2];
    const lanes first_re = re[0], first_im = im[0];
#pragma GCC unroll 8
    for (int k = 0; k < half; k++) {
        sum_re[k] = re[k + 1] + re[radix - 1 - k];
        sum_im[k] = im[k + 1] + im[radix - 1 - k];
        off_re[k] = re[k + 1] - re[radix - 1 - k];
        off_im[k] = im[k + 1] - im[radix - 1 - k];
        re[0] += sum_re[k];
        im[0] += sum_im[k];
    }
#pragma GCC unroll 8
    for (int j = 1; j <= half; j++) {
        lanes even_re = first_re, even_im = first_im, turned_re = all(0), turned_im = all(0);
#pragma GCC unroll 8
        for (int k = 1; k <= half; k++) {
            const int at = j * k % radix;
            const float c = cosines[at <= half ? at : radix - at];
            const float s = at <= half ? sines[at] : -sines[radix - at];
            even_re += c * sum_re[k - 1];
            even_im += c * sum_im[k - 1];
            turned_re += s * off_re[k - 1];
            turned_im += s * off_im[k - 1];
        }
        /* exp(-i x) = cos x - i sin x */
        re[j] = even_re + turned_im;
        im[j] = even_im - turned_re;
        re[radix - j] = even_re - turned_im;
        im[radix - j] = even_im + turned_re;
    }
}

INLINE void two(lanes* a_re, lanes* a_im, lanes* b_re, lanes* b_im)
{
    const lanes re = *a_re - *b_re, im = *a_im - *b_im;
    *a_re += *b_re;
    *a_im += *b_im;
    *b_re = re;
    *b_im = im;
}

INLINE void four(lanes* re, lanes* im, const int a, const int b, const int c, const int d)
{
    two(&re[a], &im[a], &re[c], &im[c]);
    two(&re[b], &im[b], &re[d], &im[d]);
    const lanes turned_re = im[d], turned_im = -re[d];
    re[d] = turned_re;
    im[d] = turned_im;
    two(&re[a], &im[a], &re[b], &im[b]);
    two(&re[c], &im[c], &re[d], &im[d]);
    /* In the order a, c, b, d. */
}

#define SWAP(x, y)                    \
    do {                              \
        const lanes kept_value = (x); \
        (x) = (y);                    \
        (y) = kept_value;             \
    } while (0)

INLINE void butterfly(const int radix, lanes* re, lanes* im)
{
    if (radix == 2) {
        two(&re[0], &im[0], &re[1], &im[1]);
    } else if (radix == 3) {
        odd(3, COSINES_3, SINES_3, re, im);
    } else if (radix == 4) {
        four(re, im, 0, 1, 2, 3);
        SWAP(re[1], re[2]);
        SWAP(im[1], im[2]);
    } else if (radix == 5) {
        odd(5, COSINES_5, SINES_5, re, im);
    } else if (radix == 7) {
        odd(7, COSINES_7, SINES_7, re, im);
    } else if (radix == 8) {
        const float root = 0.70710678118654752f;
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++)
            two(&re[k], &im[k], &re[k + 4], &im[k + 4]);
        lanes x = re[5], y = im[5];
        re[5] = root * (x + y);
        im[5] = root * (y - x);
        x = re[6];
        re[6] = im[6];
        im[6] = -x;
        x = re[7];
        y = im[7];
        re[7] = root * (y - x);
        im[7] = -root * (x + y);
        four(re, im, 0, 1, 2, 3);
        four(re, im, 4, 5, 6, 7);
        /* Now in the order 0, 4, 2, 6, 1, 5, 3, 7 at 0, 1, 2, 3, 4, 5, 6, 7. */
        SWAP(re[1], re[4]);
        SWAP(im[1], im[4]);
        SWAP(re[3], re[6]);
        SWAP(im[3], im[6]);
    } else {
        odd(11, COSINES_11, SINES_11, re, im);
    }
}

/* What comes of a step in columns: each times its turn. */
#define turn(re, im, c, s)                     \
    do {                                       \
        const lanes x_ = (re), y_ = (im);      \
        const lanes c_ = (c), s_ = (s);        \
        (re) = x_ * c_ - y_ * s_;              \
        (im) = x_ * s_ + y_ * c_;              \
    } while (0)

/* The step of a small stride: what comes of neighbouring columns goes to places of its own. */
INLINE void scattered(const int radix, const int interleaved, const float* re, const float* im, int64_t rows,
                      int64_t stride, const float* turns, const int32_t* places, float* to_re, float* to_im)
{
    for (int64_t n = 0;; n += LANES) {
        n = n + LANES <= rows ? n : rows - LANES;
        lanes x[MOST_RADIX], y[MOST_RADIX];
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++) {
            if (interleaved) {
                /* `re` and `im` are those of the first sample: the lower one is where pairs begin. */
                const int swapped = re > im;
                const float* from = (swapped ? im : re) + 2 * (n + k * rows);
                const lanes low = load(from), high = load(from + LANES);
                const lanes a = __builtin_shuffle(low, high, (picks){ 0, 2, 4, 6, 8, 10, 12, 14 });
                const lanes b = __builtin_shuffle(low, high, (picks){ 1, 3, 5, 7, 9, 11, 13, 15 });
                x[k] = swapped ? b : a;
                y[k] = swapped ? a : b;
            } else {
                x[k] = load(re + n + k * rows);
                y[k] = load(im + n + k * rows);
            }
        }
        butterfly(radix, x, y);
#pragma GCC unroll 16
        for (int k = 1; k < radix; k++) {
            const float* at = turns + 2 * (k - 1) * rows + n;
            turn(x[k], y[k], load(at), load(at + rows));
        }
        float made_re[MOST_RADIX][LANES], made_im[MOST_RADIX][LANES];
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++) {
            store(made_re[k], x[k]);
            store(made_im[k], y[k]);
        }
        for (int lane = 0; lane < LANES; lane++) {
            const int64_t to = places[n + lane];
#pragma GCC unroll 16
            for (int k = 0; k < radix; k++) {
                to_re[to + k * stride] = made_re[k][lane];
                to_im[to + k * stride] = made_im[k][lane];
            }
        }
        if (n + LANES >= rows)
            return;
    }
}

/* The step of a stride of at least as many columns as there are lanes. */
INLINE void strided(const int radix, const float* re, const float* im, int64_t rows, int64_t stride, int64_t columns,
                    const float* turns, float* to_re, float* to_im)
{
    for (int64_t p = 0; p < columns; p++) {
        const float* from_re = re + p * stride;
        const float* from_im = im + p * stride;
        const int64_t to = p * stride * radix;
        for (int64_t n = 0;; n += LANES) {
            n = n + LANES <= stride ? n : stride - LANES;
            lanes x[MOST_RADIX], y[MOST_RADIX];
#pragma GCC unroll 16
            for (int k = 0; k < radix; k++) {
                x[k] = load(from_re + n + k * rows);
                y[k] = load(from_im + n + k * rows);
            }
            butterfly(radix, x, y);
            store(to_re + to + n, x[0]);
            store(to_im + to + n, y[0]);
#pragma GCC unroll 16
            for (int k = 1; k < radix; k++) {
                turn(x[k], y[k], all(turns[0 + 2 * (k - 1)]), all(turns[1 + 2 * (k - 1)]));
                store(to_re + to + k * stride + n, x[k]);
                store(to_im + to + k * stride + n, y[k]);
            }
            if (n + LANES >= stride)
                break;
        }
        turns += 2 * (radix - 1);
    }
}

/* The last step, whose sums need no turns: pairs again, times a factor. */
INLINE void paired(const int radix, const float* re, const float* im, int64_t rows, float factor, int swapped, float* to)
{
    for (int64_t n = 0;; n += LANES) {
        n = n + LANES <= rows ? n : rows - LANES;
        lanes x[MOST_RADIX], y[MOST_RADIX];
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++) {
            x[k] = load(re + n + k * rows);
            y[k] = load(im + n + k * rows);
        }
        butterfly(radix, x, y);
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++) {
            const lanes a = factor * (swapped ? y[k] : x[k]), b = factor * (swapped ? x[k] : y[k]);
            store(to + 2 * (n + k * rows), __builtin_shuffle(a, b, (picks){ 0, 8, 1, 9, 2, 10, 3, 11 }));
            store(to + 2 * (n + k * rows) + LANES, __builtin_shuffle(a, b, (picks){ 4, 12, 5, 13, 6, 14, 7, 15 }));
        }
        if (n + LANES >= rows)
            return;
    }
}

#define EACH_RADIX(call)  \
    switch (radix) {      \
    case 2: call(2);      \
    case 3: call(3);      \
    case 4: call(4);      \
    case 5: call(5);      \
    case 7: call(7);      \
    case 8: call(8);      \
    default: call(11);    \
    }

WIDE static void run_step(const struct step* now, int first, int last, int swapped, float factor, int64_t length,
                          const float* re, const float* im, const float* turns, const int32_t* places, float* to_re,
                          float* to_im)
{
    const int radix = (int)now->radix;
    const int64_t rows = length / radix, stride = now->stride, columns = now->columns;
    turns += now->turns;
    places += now->places;
    if (first) {
#define FIRST(r) scattered(r, 1, re, im, rows, stride, turns, places, to_re, to_im); return
        EACH_RADIX(FIRST)
    }
    if (last) {
#define LAST(r) paired(r, re, im, rows, factor, swapped, to_re); return
        EACH_RADIX(LAST)
    }
    if (stride < LANES) {
#define SMALL(r) scattered(r, 0, re, im, rows, stride, turns, places, to_re, to_im); return
        EACH_RADIX(SMALL)
    }
#define LARGE(r) strided(r, re, im, rows, stride, columns, turns, to_re, to_im); return
    EACH_RADIX(LARGE)
}

/* exp(-2 pi i k / length), k below the length, as a product of two of few. */
INLINE void root_of(int64_t k, const double* fine, const double* coarse, double* re, double* im)
{
    const double *a = coarse + 2 * (k / FINE), *b = fine + 2 * (k % FINE);
    *re = a[0] * b[0] - a[1] * b[1];
    *im = a[0] * b[1] + a[1] * b[0];
}

/* Roots whose numbers are multiples, one after the other: real parts, and `rows` further on imaginary ones. */
WIDE static void row_of_roots(int64_t rows, int64_t multiple, const double* fine, const double* coarse, float* to)
{
    double re[BLOCK], im[BLOCK];
    for (int64_t q = 0; q < BLOCK && q < rows; q++)
        root_of(q * multiple, fine, coarse, &re[q], &im[q]);
    for (int64_t first = 0; first < rows; first += BLOCK) {
        double a, b;
        root_of(first * multiple, fine, coarse, &a, &b);
        const int64_t here = rows - first < BLOCK ? rows - first : BLOCK;
        for (int64_t q = 0; q < here; q++) {
            to[first + q] = (float)(a * re[q] - b * im[q]);
            to[rows + first + q] = (float)(a * im[q] + b * re[q]);
        }
    }
}

/* Fill in the turns and places of a plan, whose steps say where they begin.
 *
 * `room` holds 4 times FINE numbers and 2 times `length` / FINE.
 */
void amrq_transform_plan(int64_t length, const int64_t* steps, int64_t count, float* turns, int32_t* places, double* room)
{
    double *fine = room, *coarse = room + 2 * FINE;
    for (int64_t k = 0; k < FINE; k++) {
        fine[2 * k] = cos(TURN * (double)k / (double)length);
        fine[2 * k + 1] = -sin(TURN * (double)k / (double)length);
    }
    for (int64_t k = 0; k * FINE < length; k++) {
        coarse[2 * k] = cos(TURN * (double)(k * FINE) / (double)length);
        coarse[2 * k + 1] = -sin(TURN * (double)(k * FINE) / (double)length);
    }
    for (int64_t number = 0; number < count - 1; number++) {
        const struct step* now = (const struct step*)steps + number;
        const int64_t stride = now->stride, radix = now->radix, columns = now->columns, rows = length / radix;
        float* to = turns + now->turns;
        if (stride >= LANES) {
            for (int64_t p = 0; p < columns; p++)
                for (int64_t k = 1; k < radix; k++) {
                    double re, im;
                    root_of(p * k * stride, fine, coarse, &re, &im);
                    *to++ = (float)re;
                    *to++ = (float)im;
                }
            continue;
        }
        for (int64_t k = 1; k < radix; k++, to += 2 * rows) {
            if (stride == 1) {
                row_of_roots(rows, k, fine, coarse, to);
                continue;
            }
            for (int64_t p = 0; p < columns; p++) {
                double re, im;
                root_of(p * k * stride, fine, coarse, &re, &im);
                for (int64_t q = 0; q < stride; q++) {
                    to[p * stride + q] = (float)re;
                    to[rows + p * stride + q] = (float)im;
                }
            }
        }
        int32_t* place = places + now->places;
        for (int64_t p = 0; p < columns; p++)
            for (int64_t q = 0; q < stride; q++)
                *place++ = (int32_t)(q + stride * radix * p);
    }
}

/* The transform of `given` samples, followed by zeros up to `length`; `room` holds 6 times `length` numbers and 256. */
static void transform(const float* from, int64_t given, int64_t length, int32_t inverse, float factor,
                      const struct step* steps, int64_t count, const float* turns, const int32_t* places, float* room,
                      float* out)
{
    float *one = room, *other = one + 2 * (length + APART), *filled = other + 2 * (length + APART);
    if (given < length) {
        memcpy(filled, from, (size_t)(2 * given) * sizeof *filled);
        memset(filled + 2 * given, 0, (size_t)(2 * (length - given)) * sizeof *filled);
        from = filled;
    }
    const float *re = from + (inverse ? 1 : 0), *im = from + (inverse ? 0 : 1);
    for (int64_t n = 0; n < count; n++) {
        const int last = n == count - 1;
        float* to = n % 2 ? other : one;
        run_step(steps + n, n == 0, last, inverse, factor, length, re, im, turns, places, last ? out : to,
                 to + length + APART);
        re = to;
        im = to + length + APART;
    }
}

/* The transforms of rows of `given` samples, or of their first `length` samples where these are more. */
void amrq_transforms(const float* samples, int64_t rows, int64_t given, int64_t length, int32_t inverse, float factor,
                     const int64_t* steps, int64_t count, const float* turns, const int32_t* places, float* room,
                     float* out)
{
    for (int64_t row = 0; row < rows; row++)
        transform(samples + 2 * row * given, given, length, inverse, factor, (const struct step*)steps, count, turns,
                  places, room, out + 2 * row * length);
}

/* From the transform of the pairs of 2 h real numbers to theirs, complex [h + 1]: sums of halves that mirror each other. */
WIDE static void halves(const float* z, int64_t half, const float* mirror, float* to)
{
    to[0] = z[0] + z[1];
    to[1] = 0;
    to[2 * half] = z[0] - z[1];
    to[2 * half + 1] = 0;
    for (int64_t k = 1; k < half; k++) {
        const float a = z[2 * k], b = z[2 * k + 1], c = z[2 * (half - k)], d = -z[2 * (half - k) + 1];
        /* (Z + Z*) / 2, and (Z - Z*) / 2i, Z* being the conjugate of what mirrors Z */
        const float even_re = 0.5f * (a + c), even_im = 0.5f * (b + d);
        const float odd_re = 0.5f * (b - d), odd_im = -0.5f * (a - c);
        const float t = mirror[2 * k], u = mirror[2 * k + 1];
        to[2 * k] = even_re + (odd_re * t - odd_im * u);
        to[2 * k + 1] = even_im + (odd_re * u + odd_im * t);
    }
}

/* The transforms of rows of real numbers, `given` pairs of them, complex [half + 1]; the plan is that of their pairs.
 *
 * `room` holds 8 times `half` numbers and 256.
 */
void amrq_real_transforms(const float* pairs, int64_t rows, int64_t given, int64_t half, const int64_t* steps,
                          int64_t count, const float* turns, const int32_t* places, const float* mirror, float* room,
                          float* out)
{
    for (int64_t row = 0; row < rows; row++) {
        transform(pairs + 2 * row * given, given, half, 0, 1.0f, (const struct step*)steps, count, turns, places,
                  room + 2 * half, room);
        halves(room, half, mirror, out + 2 * row * (half + 1));
    }
}

/* From the transform of 2 h real numbers, complex [h + 1], to that of their pairs; what `halves` does, backwards. */
WIDE static void whole_pairs(const float* from, int64_t half, const float* mirror, float* to)
{
    /* Of real numbers the first and the last are real. */
    to[0] = 0.5f * (from[0] + from[2 * half]);
    to[1] = 0.5f * (from[0] - from[2 * half]);
    for (int64_t k = 1; k < half; k++) {
        const float a = from[2 * k], b = from[2 * k + 1], c = from[2 * (half - k)], d = -from[2 * (half - k) + 1];
        const float even_re = 0.5f * (a + c), even_im = 0.5f * (b + d);
        const float odd_re = 0.5f * (a - c), odd_im = 0.5f * (b - d);
        const float t = mirror[2 * k], u = -mirror[2 * k + 1];
        const float turned_re = odd_re * t - odd_im * u, turned_im = odd_re * u + odd_im * t;
        to[2 * k] = even_re - turned_im;
        to[2 * k + 1] = even_im + turned_re;
    }
}

/* Rows of 2 half real numbers, whose transforms complex [half + 1] are given; the plan is that of their pairs.
 *
 * `room` holds 8 times `half` numbers and 256.
 */
void amrq_real_inverses(const float* spectra, int64_t rows, int64_t half, const int64_t* steps, int64_t count,
                        const float* turns, const int32_t* places, const float* mirror, float* room, float* out)
{
    for (int64_t row = 0; row < rows; row++) {
        whole_pairs(spectra + 2 * row * (half + 1), half, mirror, room);
        transform(room, half, half, 1, 1.0f / (float)half, (const struct step*)steps, count, turns, places,
                  room + 2 * half, out + 2 * row * half);
    }
}
