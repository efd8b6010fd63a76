/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lines in the spectra of powers of symbols, and the carrier phase that a line shows: what amrq.decision.point_fit
 * computes with NumPy. tests/test_native_points.py holds one against the other.
 *
 * A spectrum of N = R C bins is found as C transforms of R values, a turn of each value, and R transforms of C values
 * (Bailey, 1990); both are Stockham's, side by side in memory, of radix 4, 2, 3, 5 and any other prime.
 */

#include <math.h>
#include <string.h>

#include "points.h"
#include "wide.h"

#define WIDTHS 3
#define BLOCK 64
#define EIGHT 8

/* z^order of unit z, order at least 1, by squaring; `size` at most BLOCK. */
INLINE void power(const float* x, const float* y, int size, int order, float* restrict re, float* restrict im)
{
    float a[BLOCK], b[BLOCK];
    memcpy(a, x, sizeof a);
    memcpy(b, y, sizeof b);
    int begun = 0;
    for (int left = order;;) {
        if (left & 1) {
            for (int k = 0; k < BLOCK; k++) {
                const float c = begun ? a[k] * re[k] - b[k] * im[k] : a[k];
                im[k] = begun ? a[k] * im[k] + b[k] * re[k] : b[k];
                re[k] = c;
            }
            begun = 1;
        }
        left >>= 1;
        if (!left)
            break;
        for (int k = 0; k < BLOCK; k++) {
            const float c = a[k] * a[k] - b[k] * b[k];
            b[k] = 2 * (a[k] * b[k]);
            a[k] = c;
        }
    }
    (void)size;
}

/* Sizes of symbols, up to BLOCK of them, and symbols of size 1. */
INLINE void sized(const float* re, const float* im, int64_t size, float* sizes, float* x, float* y)
{
    for (int64_t k = 0; k < BLOCK; k++) {
        const float a = k < size ? re[k] : 0, b = k < size ? im[k] : 0;
        const float length = sqrtf(a * a + b * b), least = length > 1e-12f ? length : 1e-12f;
        sizes[k] = length;
        x[k] = a / least;
        y[k] = b / least;
    }
}

/* The sum of BLOCK numbers. */
INLINE double total(const float* values)
{
    double sums[EIGHT] = { 0 };
    for (int64_t k = 0; k < BLOCK; k += EIGHT)
        for (int j = 0; j < EIGHT; j++)
            sums[j] += (double)values[k + j];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* One step of a transform of `bins` values: n = radix m of them, s side by side; `all` is the size of `roots`. */
#ifdef __clang__
#define SIDE_BY_SIDE _Pragma("clang loop vectorize(assume_safety)")
#else
#define SIDE_BY_SIDE _Pragma("GCC ivdep")
#endif
#define GET(k) const float a##k = xr[q + s * (p + (k) * m)], b##k = xi[q + s * (p + (k) * m)]
#define ROOT(k) const float c##k = roots[(k) * p * apart], s##k = roots[all + (k) * p * apart]
#define PUT(k, radix, x, y) \
    do { \
        const float put_x = (x), put_y = (y); \
        yr[q + s * ((radix) * p + (k))] = put_x * c##k - put_y * s##k; \
        yi[q + s * ((radix) * p + (k))] = put_x * s##k + put_y * c##k; \
    } while (0)
#define PUT_FIRST(radix, x, y) \
    do { \
        yr[q + s * (radix) * p] = (x); \
        yi[q + s * (radix) * p] = (y); \
    } while (0)

INLINE void step(int64_t radix, int64_t n, int64_t s, const float* restrict xr, const float* restrict xi,
                 float* restrict yr, float* restrict yi, const float* roots, int64_t all)
{
    const int64_t m = n / radix, apart = all / n;
    if (radix == 4) {
        for (int64_t p = 0; p < m; p++) {
            ROOT(1);
            ROOT(2);
            ROOT(3);
            SIDE_BY_SIDE
            for (int64_t q = 0; q < s; q++) {
                GET(0);
                GET(1);
                GET(2);
                GET(3);
                const float sx = a0 + a2, sy = b0 + b2, dx = a0 - a2, dy = b0 - b2;
                const float tx = a1 + a3, ty = b1 + b3, ux = a1 - a3, uy = b1 - b3;
                PUT_FIRST(4, sx + tx, sy + ty);
                PUT(1, 4, dx + uy, dy - ux);
                PUT(2, 4, sx - tx, sy - ty);
                PUT(3, 4, dx - uy, dy + ux);
            }
        }
    } else if (radix == 2) {
        for (int64_t p = 0; p < m; p++) {
            ROOT(1);
            SIDE_BY_SIDE
            for (int64_t q = 0; q < s; q++) {
                GET(0);
                GET(1);
                PUT_FIRST(2, a0 + a1, b0 + b1);
                PUT(1, 2, a0 - a1, b0 - b1);
            }
        }
    } else if (radix == 3) {
        const float half = 0.5f, side = 0.8660254037844386f;
        for (int64_t p = 0; p < m; p++) {
            ROOT(1);
            ROOT(2);
            SIDE_BY_SIDE
            for (int64_t q = 0; q < s; q++) {
                GET(0);
                GET(1);
                GET(2);
                const float tx = a1 + a2, ty = b1 + b2, ux = side * (a1 - a2), uy = side * (b1 - b2);
                const float vx = a0 - half * tx, vy = b0 - half * ty;
                PUT_FIRST(3, a0 + tx, b0 + ty);
                PUT(1, 3, vx + uy, vy - ux);
                PUT(2, 3, vx - uy, vy + ux);
            }
        }
    } else if (radix == 5) {
        const float d1 = 0.30901699437494745f, d2 = -0.8090169943749475f;
        const float e1 = 0.9510565162951535f, e2 = 0.5877852522924731f;
        for (int64_t p = 0; p < m; p++) {
            ROOT(1);
            ROOT(2);
            ROOT(3);
            ROOT(4);
            SIDE_BY_SIDE
            for (int64_t q = 0; q < s; q++) {
                GET(0);
                GET(1);
                GET(2);
                GET(3);
                GET(4);
                const float tx = a1 + a4, ty = b1 + b4, ux = a2 + a3, uy = b2 + b3;
                const float vx = a1 - a4, vy = b1 - b4, wx = a2 - a3, wy = b2 - b3;
                const float fx = a0 + d1 * tx + d2 * ux, fy = b0 + d1 * ty + d2 * uy;
                const float gx = a0 + d2 * tx + d1 * ux, gy = b0 + d2 * ty + d1 * uy;
                const float hx = e1 * vx + e2 * wx, hy = e1 * vy + e2 * wy;
                const float ix = e2 * vx - e1 * wx, iy = e2 * vy - e1 * wy;
                PUT_FIRST(5, a0 + tx + ux, b0 + ty + uy);
                PUT(1, 5, fx + hy, fy - hx);
                PUT(2, 5, gx + iy, gy - ix);
                PUT(3, 5, gx - iy, gy + ix);
                PUT(4, 5, fx - hy, fy + hx);
            }
        }
    } else {
        for (int64_t p = 0; p < m; p++)
            for (int64_t j = 0; j < radix; j++) {
                float *re = yr + s * (radix * p + j), *im = yi + s * (radix * p + j);
                memset(re, 0, sizeof(float) * (size_t)s);
                memset(im, 0, sizeof(float) * (size_t)s);
                for (int64_t k = 0; k < radix; k++) {
                    const int64_t at = (j * k % radix * (all / radix) + j * p * apart) % all;
                    const float c = roots[at], d = roots[all + at];
                    const float *x = xr + s * (p + k * m), *y = xi + s * (p + k * m);
                    SIDE_BY_SIDE
                    for (int64_t q = 0; q < s; q++) {
                        re[q] += x[q] * c - y[q] * d;
                        im[q] += x[q] * d + y[q] * c;
                    }
                }
            }
    }
}

INLINE int64_t radix_of(int64_t n)
{
    int64_t radix = n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : 3;
    while (n % radix)
        radix += 2;
    return radix;
}

/* Transform `s` rows of values that lie side by side; returns which of the two places, `away` apart, has the result. */
INLINE int transform(float* place, int64_t away, int64_t half, int64_t size, int64_t s, const float* roots, int64_t all)
{
    int at = 0;
    for (int64_t n = size; n > 1; at ^= 1) {
        const int64_t radix = radix_of(n);
        const float* x = place + (at ? away : 0);
        float* y = place + (at ? 0 : away);
        step(radix, n, s, x, x + half, y, y + half, roots, all);
        n /= radix;
        s *= radix;
    }
    return at;
}

typedef float four __attribute__((vector_size(16)));
typedef float loose_four __attribute__((vector_size(16), aligned(4), may_alias));
#if defined(__clang__) || __GNUC__ >= 12
#define MIXED(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int four_places __attribute__((vector_size(16)));
#define MIXED(a, b, i, j, k, l) __builtin_shuffle(a, b, (four_places){ i, j, k, l })
#endif

/* Write four rows of four as columns, `wide` apart. */
INLINE void written(four a, four b, four c, four d, float* to, int64_t wide)
{
    const four ab = MIXED(a, b, 0, 4, 1, 5), cd = MIXED(c, d, 0, 4, 1, 5);
    const four ba = MIXED(a, b, 2, 6, 3, 7), dc = MIXED(c, d, 2, 6, 3, 7);
    *(loose_four*)to = MIXED(ab, cd, 0, 1, 4, 5);
    *(loose_four*)(to + wide) = MIXED(ab, cd, 2, 3, 6, 7);
    *(loose_four*)(to + 2 * wide) = MIXED(ba, dc, 0, 1, 4, 5);
    *(loose_four*)(to + 3 * wide) = MIXED(ba, dc, 2, 3, 6, 7);
}

/* Turn values [rows, columns] by twists, real parts and then imaginary ones, and write them as [columns, rows]. */
INLINE void twisted(const float* restrict x, const float* restrict twists, int64_t rows, int64_t columns,
                    float* restrict y)
{
    const int64_t bins = rows * columns, low = rows / 4 * 4, left = columns / 4 * 4;
    const float *c = twists, *s = twists + bins;
    for (int64_t row = 0; row < low; row += 4)
        for (int64_t column = 0; column < left; column += 4) {
            four p[4], q[4];
            for (int one = 0; one < 4; one++) {
                const int64_t from = columns * (row + one) + column;
                const four a = *(const loose_four*)(x + from), b = *(const loose_four*)(x + bins + from);
                const four re = *(const loose_four*)(c + from), im = *(const loose_four*)(s + from);
                p[one] = a * re - b * im;
                q[one] = a * im + b * re;
            }
            float* to = y + rows * column + row;
            written(p[0], p[1], p[2], p[3], to, rows);
            written(q[0], q[1], q[2], q[3], to + bins, rows);
        }
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = row < low ? left : 0; column < columns; column++) {
            const int64_t from = columns * row + column, to = rows * column + row;
            y[to] = x[from] * c[from] - x[bins + from] * s[from];
            y[bins + to] = x[from] * s[from] + x[bins + from] * c[from];
        }
}

/* The largest power in the spectrum of numbers [bins], the second half of them 0, and its bin.
 *
 * room: [4 bins]; the numbers stand in it, real parts from 0 on and imaginary ones from `bins` on.
 */
WIDE float amrq_point_peak(float* room, const struct places* places, int64_t* bin)
{
    const int64_t rows = places->rows, columns = places->columns, bins = rows * columns, half = bins / 2;
    memset(room + half, 0, sizeof(float) * (size_t)half);
    memset(room + bins + half, 0, sizeof(float) * (size_t)half);
    int at = transform(room, 2 * bins, bins, rows, columns, places->roots, bins);
    const float* x = room + (at ? 2 * bins : 0);
    float* y = room + (at ? 0 : 2 * bins);
    twisted(x, places->twists, rows, columns, y);
    at = transform(y, at ? 2 * bins : -2 * bins, bins, columns, rows, places->roots, bins)
             ? (at ? 2 : 0)
             : (at ? 0 : 2);
    const float *re = room + at * bins, *im = re + bins;
    float top = -1;
    *bin = 0;
    for (int64_t start = 0; start < bins; start += BLOCK) {
        const int64_t stop = start + BLOCK < bins ? start + BLOCK : bins;
        float most = -1;
        for (int64_t k = start; k < stop; k++) {
            const float level = re[k] * re[k] + im[k] * im[k];
            most = level > most ? level : most;
        }
        if (most > top) {
            top = most;
            *bin = start;
        }
    }
    while (*bin < bins - 1 && re[*bin] * re[*bin] + im[*bin] * im[*bin] != top)
        ++*bin;
    return top;
}

/* Powers of symbols' phases, weighted by their squares, up to 1.5^2; returns the sum of the squares of the weights. */
WIDE double amrq_point_power(const float* z, int64_t symbols, int64_t order, float* re, float* im)
{
    float sizes[BLOCK], x[BLOCK], y[BLOCK], a[BLOCK], b[BLOCK];
    double energy = 0;
    for (int64_t start = 0; start < symbols; start += BLOCK) {
        const int64_t size = symbols - start < BLOCK ? symbols - start : BLOCK;
        sized(z + start, z + symbols + start, size, sizes, x, y);
        power(x, y, BLOCK, (int)order, a, b);
        for (int64_t k = 0; k < BLOCK; k++) {
            const float most = sizes[k] < 1.5f ? sizes[k] : 1.5f;
            sizes[k] = most * most;
            a[k] *= sizes[k];
            b[k] *= sizes[k];
            sizes[k] *= sizes[k];
        }
        memcpy(re + start, a, sizeof(float) * (size_t)size);
        memcpy(im + start, b, sizeof(float) * (size_t)size);
        energy += total(sizes);
    }
    return energy;
}

/* The highest line in the spectra of powers to which the class gives none, over the spectrum's mean; room: [4 bins]. */
double amrq_point_strange(const float* z, const struct kind* kind, const struct places* places, float* room)
{
    const int64_t symbols = places->count * places->length;
    double top = 0, energy = 1;
    for (int64_t n = 0; n < kind->count; n++) {
        int64_t bin;
        energy = amrq_point_power(z, symbols, kind->orders[n], room, room + 2 * symbols);
        const double found = amrq_point_peak(room, places, &bin);
        top = found > top ? found : top;
    }
    return top / (energy > 1e-30 ? energy : 1e-30);
}

/* The power in which a class has a line, of each symbol, times a complex weight by its radius; returns the sum of the
 * weights' squares. */
WIDE double amrq_point_line(const float* z, int64_t symbols, int64_t order, const float* weights,
                            const struct rules* rules, float* re, float* im)
{
    float sizes[BLOCK], x[BLOCK], y[BLOCK], a[BLOCK], b[BLOCK];
    int32_t place[BLOCK];
    const float scale = (float)rules->per_radius, most = (float)(rules->radii - 1);
    double noise = 0;
    for (int64_t start = 0; start < symbols; start += BLOCK) {
        const int64_t size = symbols - start < BLOCK ? symbols - start : BLOCK;
        sized(z + start, z + symbols + start, size, sizes, x, y);
        power(x, y, BLOCK, (int)order, a, b);
        for (int64_t k = 0; k < BLOCK; k++) {
            const float radius = sizes[k] * scale + 0.5f;
            place[k] = (int32_t)(radius < most ? radius : most);
        }
        for (int64_t k = 0; k < BLOCK; k++) {
            x[k] = weights[2 * place[k]];
            y[k] = weights[2 * place[k] + 1];
        }
        for (int64_t k = 0; k < BLOCK; k++) {
            const float re_k = x[k] * a[k] - y[k] * b[k];
            b[k] = x[k] * b[k] + y[k] * a[k];
            a[k] = re_k;
            sizes[k] = k < size ? x[k] * x[k] + y[k] * y[k] : 0;
        }
        memcpy(re + start, a, sizeof(float) * (size_t)size);
        memcpy(im + start, b, sizeof(float) * (size_t)size);
        noise += total(sizes);
    }
    return noise;
}

/* Weigh sums [count] by a symmetric matrix, whose rows are filled up to `wide`. */
INLINE void weighed(const double* re, const double* im, int64_t count, int64_t wide, const float* weights, double* x,
                    double* y)
{
    for (int64_t start = 0; start < wide; start += EIGHT) {
        double a[EIGHT] = { 0 }, b[EIGHT] = { 0 };
        for (int64_t k = 0; k < count; k++)
            for (int n = 0; n < EIGHT; n++) {
                a[n] += weights[wide * k + start + n] * re[k];
                b[n] += weights[wide * k + start + n] * im[k];
            }
        memcpy(x + start, a, sizeof a);
        memcpy(y + start, b, sizeof b);
    }
}

/* Average sums [count] as amrq.decision.point_fit._smoothed does; returns how much is in the direction foretold. */
WIDE double amrq_point_smoothed(const double* re, const double* im, const struct places* places, double foretold,
                                int clear, double* out_re, double* out_im)
{
    const int64_t count = places->count, wide = (count + EIGHT - 1) / EIGHT * EIGHT;
    double found[WIDTHS], x[CHUNKS], y[CHUNKS], size = 0, most = -1e300;
    int best = 0;
    for (int64_t n = 0; n < count; n++)
        size += sqrt(re[n] * re[n] + im[n] * im[n]);
    for (int width = 0; width < WIDTHS; width++) {
        found[width] = 0;
        weighed(re, im, count, wide, places->others + count * wide * width, x, y);
        for (int64_t n = 0; n < count; n++) {
            const double length = sqrt(x[n] * x[n] + y[n] * y[n]);
            x[n] = (x[n] * re[n] + y[n] * im[n]) / (length > 1e-20 ? length : 1e-20);
        }
        for (int64_t n = 0; n < count; n++)
            found[width] += x[n];
        most = found[width] > most ? found[width] : most;
    }
    /* Of two chunks all widths foretell the same: the narrowest is taken. */
    while (best < WIDTHS - 1 && found[best] < most - 1e-5 * size)
        best++;
    if (clear && found[best] < foretold * size) {
        memcpy(out_re, re, sizeof(double) * (size_t)count);
        memcpy(out_im, im, sizeof(double) * (size_t)count);
        return size;
    }
    weighed(re, im, count, wide, places->whole + count * wide * best, x, y);
    for (int64_t n = 0; n < count; n++) {
        const double own = sqrt(re[n] * re[n] + im[n] * im[n]), length = sqrt(x[n] * x[n] + y[n] * y[n]);
        const int alone = clear && x[n] * re[n] + y[n] * im[n] < foretold * length * own;
        out_re[n] = alone ? re[n] : x[n];
        out_im[n] = alone ? im[n] : y[n];
    }
    return found[best];
}

struct followed {
    double frequency, coherent;
    double phase[CHUNKS], slope[CHUNKS];
};

/* Sums of chunks of a line, turned back by its frequency; returns their energy. */
WIDE double amrq_point_sums(const float* x, const float* y, int64_t count, int64_t length, double frequency, double* re,
                            double* im)
{
    double c[LENGTH], s[LENGTH], energy = 0;
    for (int64_t k = 0; k < length; k++) {
        c[k] = k && frequency != 0 ? cos(TURN * frequency * (double)k) : 1;
        s[k] = k && frequency != 0 ? -sin(TURN * frequency * (double)k) : 0;
    }
    for (int64_t n = 0; n < count; n++, x += length, y += length) {
        double a[8] = { 0 }, b[8] = { 0 };
        int64_t k = 0;
        for (; k + 8 <= length; k += 8)
            for (int64_t j = 0; j < 8; j++) {
                a[j] += x[k + j] * c[k + j] - y[k + j] * s[k + j];
                b[j] += x[k + j] * s[k + j] + y[k + j] * c[k + j];
            }
        for (; k < length; k++) {
            a[0] += x[k] * c[k] - y[k] * s[k];
            b[0] += x[k] * s[k] + y[k] * c[k];
        }
        const double p = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
        const double q = ((b[0] + b[1]) + (b[2] + b[3])) + ((b[4] + b[5]) + (b[6] + b[7]));
        const double begin = TURN * frequency * (double)(n * length);
        const double u = cos(begin), v = -sin(begin);
        re[n] = p * u - q * v;
        im[n] = p * v + q * u;
        energy += re[n] * re[n] + im[n] * im[n];
    }
    return energy;
}

/* The peak of the spectrum of sums, in 8 bins a chunk. */
WIDE int64_t amrq_point_steady(const double* re, const double* im, const struct places* places)
{
    const int64_t count = places->count, bins = 8 * count;
    float place[32 * CHUNKS], level[8 * CHUNKS], top = -1;
    /* Of numbers followed by seven times as many zeros, the transform's first step. */
    for (int64_t n = 0; n < count; n++) {
        const float a = (float)re[n], b = (float)im[n];
        const float *c = places->eighths + EIGHT * n, *s = c + bins;
        for (int j = 0; j < EIGHT; j++) {
            place[EIGHT * n + j] = a * c[j] - b * s[j];
            place[bins + EIGHT * n + j] = a * s[j] + b * c[j];
        }
    }
    const float* x = place + (transform(place, 2 * bins, bins, count, EIGHT, places->steps, bins) ? 2 * bins : 0);
    for (int64_t k = 0; k < bins; k++)
        level[k] = x[k] * x[k] + x[bins + k] * x[bins + k];
    int64_t steady = 0;
    for (int64_t start = 0; start < bins; start += EIGHT) { /* there are 8 bins a chunk */
        float most = level[start];
        for (int j = 1; j < EIGHT; j++)
            most = level[start + j] > most ? level[start + j] : most;
        for (int64_t k = start; most > top * (1 + 1e-5f) && k < start + EIGHT; k++)
            if (level[k] > top * (1 + 1e-5f)) { /* of two that are equal the first, whatever the rounding */
                top = level[k];
                steady = k;
            }
    }
    return steady;
}

static void follow(const float* re, const float* im, const struct places* places, const struct rules* rules,
                   double frequency, double noise, struct followed* found)
{
    const int64_t count = places->count, bins = 8 * count;
    double x[CHUNKS], y[CHUNKS], out_x[CHUNKS], out_y[CHUNKS];
    const double energy = amrq_point_sums(re, im, count, places->length, frequency, x, y);
    const int64_t steady = amrq_point_steady(x, y, places);
    for (int64_t n = 0; n < count; n++) {
        const double c = places->turns[steady * n % bins], s = places->turns[bins + steady * n % bins], a = x[n];
        x[n] = a * c - y[n] * s;
        y[n] = a * s + y[n] * c;
    }
    found->frequency = frequency;
    found->coherent = amrq_point_smoothed(x, y, places, rules->foretold, energy > rules->clear * noise, out_x, out_y);
    double turns = 0, before = 0;
    for (int64_t n = 0; n < count; n++) {
        const double c = places->turns[steady * n % bins], s = -places->turns[bins + steady * n % bins];
        const double angle = atan2(out_x[n] * s + out_y[n] * c, out_x[n] * c - out_y[n] * s);
        if (n)
            turns += rint((angle - before) / TURN);
        before = angle;
        found->phase[n] = angle - TURN * turns;
    }
    for (int64_t n = 0; n < count; n++) {
        found->slope[n] = 0;
        if (count < 3)
            continue;
        /* Of the steps before and after a chunk, where there are none those of the next ones, the smaller. */
        const int64_t first = n ? n : 2, second = n < count - 1 ? n + 1 : count - 2;
        const double left = found->phase[first] - found->phase[first - 1];
        const double right = found->phase[second] - found->phase[second - 1];
        const double smaller = fabs(left) < fabs(right) ? left : right;
        found->slope[n] = fabs(smaller) < rules->jump ? smaller : 0;
    }
}

/* Turn symbols back by angles `begin` + k `slope`. */
WIDE void amrq_point_turned(const float* x, const float* y, int64_t length, double begin, double slope,
                            float* restrict out_x, float* restrict out_y)
{
    double c[8], s[8], step_c = cos(slope), step_s = -sin(slope);
    c[0] = cos(begin);
    s[0] = -sin(begin);
    for (int j = 1; j < 8; j++) {
        c[j] = c[j - 1] * step_c - s[j - 1] * step_s;
        s[j] = c[j - 1] * step_s + s[j - 1] * step_c;
    }
    for (int j = 0; j < 3; j++) {
        const double square = step_c * step_c - step_s * step_s;
        step_s = 2 * step_c * step_s;
        step_c = square;
    }
    for (int64_t k = 0; k < length; k += 8) {
        const int64_t size = length - k < 8 ? length - k : 8;
        float a[8] = { 0 }, b[8] = { 0 };
        memcpy(a, x + k, sizeof(float) * (size_t)size);
        memcpy(b, y + k, sizeof(float) * (size_t)size);
        float p[8], q[8];
        for (int j = 0; j < 8; j++) {
            p[j] = (float)(a[j] * c[j] - b[j] * s[j]);
            q[j] = (float)(a[j] * s[j] + b[j] * c[j]);
            const double next = c[j] * step_c - s[j] * step_s;
            s[j] = c[j] * step_s + s[j] * step_c;
            c[j] = next;
        }
        memcpy(out_x + k, p, sizeof(float) * (size_t)size);
        memcpy(out_y + k, q, sizeof(float) * (size_t)size);
    }
}

/* Turn symbols upright by the line of their class; room: [12 symbols]. Sets the coherent sum and what is due. */
void amrq_point_upright(const float* z, const struct kind* kind, const struct places* places,
                        const struct rules* rules, int64_t level, float* out, struct fitted* found, float* room)
{
    const int64_t count = places->count, length = places->length, symbols = count * length, bins = 2 * symbols;
    float *re = room, *im = room + symbols, *spectrum = room + 2 * symbols;
    const double noise = amrq_point_line(z, symbols, kind->symmetry, kind->levels[level - LOWEST].harmonic, rules, re, im);
    memcpy(spectrum, re, sizeof(float) * (size_t)symbols);
    memcpy(spectrum + bins, im, sizeof(float) * (size_t)symbols);
    int64_t peak;
    amrq_point_peak(spectrum, places, &peak);
    const double frequency = (double)(2 * peak > bins ? peak - bins : peak) / (double)bins;
    const double due = sqrt(noise / 2 > 1e-30 ? noise / 2 : 1e-30);
    struct followed steps, other;
    follow(re, im, places, rules, frequency, noise, &steps);
    if (steps.coherent < (due > rules->visible ? rules->lost * due * due : 0.0)) {
        /* A carrier that was followed in steps has no single frequency. */
        follow(re, im, places, rules, 0, noise, &other);
        if (other.coherent > steps.coherent)
            steps = other;
    }
    const double order = (double)kind->symmetry;
    for (int64_t n = 0; n < count; n++) {
        const double slope = TURN * steps.frequency + steps.slope[n] / (double)length;
        const double begin = TURN * steps.frequency * (double)(n * length) + steps.phase[n]
                             - steps.slope[n] / (double)length * ((double)length - 1) / 2;
        const int64_t at = length * n;
        amrq_point_turned(z + at, z + symbols + at, length, begin / order, slope / order, out + at,
                          out + symbols + at);
    }
    found->own = steps.coherent / due;
    found->due = due;
}
