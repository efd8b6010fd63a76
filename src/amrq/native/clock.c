/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The symbol rate's line followed block by block: what amrq.receive.timing says with NumPy.
 * tests/test_native_clock.py holds one against the other.
 *
 * A window's spectrum is that of few samples in many bins, a multiple of a short transform's: each of as many short
 * transforms, side by side in the lanes of vectors, gives every so many-th bin of samples that are turned before.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "columns.h"
#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define SUMS 8
#define MOST_BINS 3072
#define TURN 6.283185307179586

/* What tones of the line are compared with; see amrq.receive.timing. */
struct clock_limits {
    double symbols, usual_error, cost; /* from one sample of the line to the next; an error; what more of it costs */
    double clear, contradicted, nominal;
    int64_t span, lines, ahead, slowly, settled;
};

/* A window of the line, and its spectrum. */
struct clock_window {
    int64_t window, bins, reach, size; /* bins: `size` times 16 at most; reach: bins on either side that are looked at */
    const float *turns, *roots;        /* exp(-2 pi i n p / bins), [2, window, 16]; of `size` */
};

struct tone {
    double rate, phase, middle, score, energy;
};

/* What is known of the line: the tone, and the last one in the longest window. */
struct clock_track {
    double rate, phase, at;
    struct tone lasting;
    int64_t known, clear; /* whether there is the latter; whether the tone was seen */
};

static double likelihood(double power, double energy, double count)
{
    const double share = power / energy / count;
    return -0.8 * count * log1p(-(share < 1 - 1e-6 ? share : 1 - 1e-6));
}

static double cost(int64_t bin, int64_t bins, const struct clock_limits* limits)
{
    const double error = (double)bin / (double)bins / limits->symbols / limits->usual_error;
    return limits->cost * (error * error < 1 ? error * error : 1);
}

/* The first bin, of those from `first` up to `stop`, that has the most power. */
INLINE int64_t strongest(const float* power, int64_t first, int64_t stop)
{
    float most = power[first];
    for (int64_t k = first; k < stop; k++)
        most = power[k] > most ? power[k] : most;
    while (power[first] != most && first < stop - 1)
        first++;
    return first;
}

/* The likeliest tone of a window, complex [window], that ends with sample `end` of the line, counted from the stream's
 * first; where that is less than the window is long, it begins with zeros. */
INLINE struct tone fitted(const float* from, int64_t end, const struct clock_window* window,
                          const struct clock_limits* limits)
{
    struct columns place[2];
    float re[MOST_BINS + LANES], im[MOST_BINS + LANES], near[MOST_BINS + 1];
    const int64_t length = window->window, size = window->size, bins = window->bins, reach = window->reach;
    const float *c = window->turns, *s = window->turns + LANES * length;
    double sums[SUMS] = { 0 };
    for (int64_t k = 0; k < length; k++)
        sums[k % SUMS] += (double)(from[2 * k] * from[2 * k] + from[2 * k + 1] * from[2 * k + 1]);
    for (int64_t j = 0; j < size; j++) {
        lanes x, y;
        memset(&x, 0, sizeof x);
        memset(&y, 0, sizeof y);
        for (int64_t k = j; k < length; k += size) {
            const lanes cosine = *(const loose*)(c + LANES * k), sine = *(const loose*)(s + LANES * k);
            x += from[2 * k] * cosine - from[2 * k + 1] * sine;
            y += from[2 * k] * sine + from[2 * k + 1] * cosine;
        }
        place[0].re[j] = x;
        place[0].im[j] = y;
    }
    const struct columns* done = place + transform(place, (int)size, window->roots);
    for (int64_t j = 0, at = 0; j < size; j++, at += bins / size) { /* what a lane too many writes, the next corrects */
        *(loose*)(re + at) = done->re[j];
        *(loose*)(im + at) = done->im[j];
    }
    for (int64_t k = 0; k < reach; k++)
        near[k] = re[bins - reach + k] * re[bins - reach + k] + im[bins - reach + k] * im[bins - reach + k];
    for (int64_t k = 0; k <= reach; k++)
        near[reach + k] = re[k] * re[k] + im[k] * im[k];
    double energy = 0;
    for (int k = 0; k < SUMS; k++)
        energy += sums[k];
    energy = energy > 1e-30 ? energy : 1e-30;

    const double count = (double)(end < length ? end : length);
    int64_t usual = (int64_t)(limits->usual_error * limits->symbols * (double)bins);
    usual = usual < reach ? usual : reach;
    int64_t peak = strongest(near, reach - usual, reach + usual + 1);
    const double most = near[peak], highest = likelihood(most, energy, count);
    double best = highest - cost(peak - reach, bins, limits);
    for (int64_t k = reach - usual; k <= reach + usual; k++) {
        /* The likelihood of a power is convex: of less of it there is not more than this. */
        const double less = cost(k - reach, bins, limits), bound = most > 0 ? highest * (near[k] / most) : 0;
        if (bound * (1 + 1e-5) + 1e-9 < best + less)
            continue;
        const double score = likelihood(near[k], energy, count) - less;
        if (score > best || (score == best && k < peak)) {
            best = score;
            peak = k;
        }
    }
    if (usual < reach) {
        const int64_t low = strongest(near, 0, reach - usual);
        const int64_t high = strongest(near, reach + usual + 1, 2 * reach + 1);
        const double left = likelihood(near[low], energy, count) - limits->cost;
        const double right = likelihood(near[high], energy, count) - limits->cost;
        if (left >= best) {
            best = left;
            peak = low;
        }
        if (right > best) {
            best = right;
            peak = high;
        }
    }
    peak = peak < 1 ? 1 : peak > 2 * reach - 1 ? 2 * reach - 1 : peak;
    const float before = sqrtf(near[peak - 1]), top = sqrtf(near[peak]), after = sqrtf(near[peak + 1]);
    const float bend = before - 2 * top + after;
    double shift = bend < 0 ? 0.5 * (double)(before - after) / (double)bend : 0;
    shift = shift < -0.5 ? -0.5 : shift > 0.5 ? 0.5 : shift;
    const int64_t bin = peak - reach, at = bin < 0 ? bin + bins : bin;
    const double middle = (double)length - 0.5 * (count + 1);
    return (struct tone){
        .rate = ((double)bin + shift) / (double)bins,
        .phase = atan2((double)im[at], (double)re[at]) / TURN + (double)bin / (double)bins * middle,
        .middle = (double)end - 0.5 * (count + 1),
        .score = best,
        .energy = energy,
    };
}

/* The likelihood of a tone in the newest samples of the line, complex [window], of which the last is number end - 1. */
static double held(const float* from, int64_t end, int64_t window, const struct tone* tone, double energy)
{
    const double begin = tone->phase + tone->rate * ((double)(end - window) - tone->middle);
    const double turn = TURN * (begin - rint(begin)), step = TURN * (tone->rate - rint(tone->rate));
    double c = cos(turn), s = sin(turn), match = 0;
    const double by_c = cos(step), by_s = sin(step);
    for (int64_t k = 0; k < window; k++) {
        match += from[2 * k] * c + from[2 * k + 1] * s;
        const double next = c * by_c - s * by_s;
        s = c * by_s + s * by_c;
        c = next;
    }
    match = match > 0 ? match : 0;
    return likelihood(match * match, energy, (double)(end < window ? end : window));
}

/* The likeliest tones of windows of the line, complex, that start at `starts` and end with `ends`: rate, phase, the sample
 * of the stream where it has that, score and energy of each, [5, windows]. */
WIDE void amrq_clock_tones(const float* line, const int64_t* starts, const int64_t* ends, int64_t windows,
                           const struct clock_window* window, const struct clock_limits* limits, double* found)
{
    for (int64_t n = 0; n < windows; n++) {
        const struct tone tone = fitted(line + 2 * starts[n], ends[n], window, limits);
        found[n] = tone.rate;
        found[windows + n] = tone.phase;
        found[2 * windows + n] = tone.middle;
        found[3 * windows + n] = tone.score;
        found[4 * windows + n] = tone.energy;
    }
}

/* Whether a tone is clear, and not contradicted by the newest samples. */
INLINE int is_good(const struct tone* tone, const struct tone* newest, const float* from, int64_t end, int64_t window,
                   const struct clock_limits* limits)
{
    return tone->score >= limits->clear
           && newest->score - held(from, end, window, tone, newest->energy) < limits->contradicted;
}

/* Tell the clocks of blocks.
 *
 * line: complex, whose first sample is number `begin` of the stream's `count`; windows: the short, the middle and the longest;
 * told: cycles at each block's beginning and cycles a channel sample, [2, blocks], and whether it was seen, [blocks].
 */
WIDE void amrq_clock_follow(const float* line, int64_t begin, int64_t count, int64_t first, int64_t blocks,
                            const struct clock_window* const windows[3], const struct clock_limits* limits,
                            struct clock_track* now, double* told, uint8_t* seen)
{
    for (int64_t n = 0; n < blocks; n++) {
        const int64_t block = first + n, due = (block + 1) * limits->lines + limits->ahead;
        const int64_t end = due < count ? due : count, length = windows[0]->window;
        const float* stop = line + 2 * (end - begin);
        const struct tone newest = fitted(stop - 2 * length, end, windows[0], limits);
        struct tone tone = now->lasting;
        const int fresh = block % limits->slowly == 0 || block < limits->settled || !now->known;
        if (fresh || (tone.score < newest.score ? tone.score : newest.score) < limits->clear)
            tone = fitted(stop - 2 * windows[2]->window, end, windows[2], limits);
        if (fresh) {
            now->lasting = tone;
            now->known = 1;
        }
        int good = is_good(&tone, &newest, stop - 2 * length, end, length, limits);
        if (!good) {
            tone = fitted(stop - 2 * windows[1]->window, end, windows[1], limits);
            good = is_good(&tone, &newest, stop - 2 * length, end, length, limits);
            if (!good) {
                tone = newest;
                good = newest.score >= limits->clear;
            }
        }
        if (good) { /* else the clock goes on as it was */
            now->rate = tone.rate;
            now->phase = tone.phase;
            now->at = tone.middle;
        }
        const double start = (double)(block * limits->lines);
        const double cycles = fmod(now->phase + now->rate * (start - now->at) + start * limits->symbols, 1.0);
        told[n] = cycles < 0 ? cycles + 1 : cycles;
        told[blocks + n] = limits->nominal + now->rate / (double)limits->span;
        seen[n] = (uint8_t)good;
        now->clear = good;
    }
}
