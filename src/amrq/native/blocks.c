/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a receiver does from block to block of its channel, as long as nothing new happens: averages of the spectra, the
 * pulse that they show, the noise beside it, and the place of each block's spectrum (amrq.receive.pulse and following).
 * Where something else is to be done than before, NumPy code does it. tests/test_native_receiver.py holds one against the
 * other.
 */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#define MOST_CELLS 256
#define MOST_PULSES 1024
#define MOST_LEVELS 16
#define RARE_TRIED 3 /* likeliest pulses of either kind that are compared at finer levels */
#define LANES 8

void amrq_pulse_places(const float* powers, int64_t blocks, int64_t bins, int64_t first, int64_t width,
                       const float* inverse, const float* log, const float* weight, int64_t places, double compared,
                       double* found);
void amrq_pulse_likelihoods(const float* power, int64_t cells, const float* inverse, const float* means, int64_t levels,
                            int64_t pulses, float counted, float* best, int64_t* level);

/* What the running average of a channel's spectra knows. */
struct spectrum_now {
    double blocks, noise; /* noise: of a bin, -1 where it is not known */
    double likelihood;    /* of the pulse over noise */
    int64_t seen, fresh, weak, level;
};

struct spectrum_limits {
    double keep, change, flat_db, flat_noise, independent, hann;
    int64_t first, memory, often, noise_often;
};

/* What a pulse is chosen from, and what was chosen last. */
struct pulse_choice {
    int64_t known; /* whether a pulse may be chosen here: not before one was chosen there */
    int64_t first, cells, pulses, levels, present, rare; /* present: -1 where no signal was seen */
    double sure, better, rise, inner, rare_blocks;
    const float *weight, *inverse, *means; /* [cells], [levels, cells, pulses], [levels, pulses] */
    const double* away;                    /* of cells from the middle, symbol rates, [cells] */
    const uint8_t* allowed;                /* [pulses] */
    int64_t whole;                         /* whether raised cosines are allowed now, not their roots */
    double likelier;                       /* log likelihood by which they must be the likelier ones to be so at first */
    const uint8_t* wholes;                 /* which pulses are raised cosines, [pulses] */
    const double* spectra;                 /* of pulses without noise, [pulses, cells] */
    const double* noises;                  /* of levels near each level, [levels, most]; below 0: no more of them */
    int64_t most;
};

/* What tells the place of a block's spectrum, by level of the noise. */
struct pulse_place {
    const float *inverse[MOST_LEVELS], *log[MOST_LEVELS]; /* NULL: not prepared */
    const float* weight;                                 /* [width] */
    int64_t bins, first, width, places, step;
    double compared, least, independent, sure;
};

/* The places of the last blocks, [held], of which `count` are known; none where the deviation is 0. */
struct follow_now {
    double *places, *deviations;
    int64_t count, number, blind; /* blocks so far, and since the last with a signal */
    int64_t shorter, longer, often, gone;
    double suspect;
    int64_t look; /* whether it may move after the last block */
};

/* The value in the middle of `count` values at places, at most 256. */
static double middle_of(const double* values, const int64_t* places, int64_t count)
{
    double sorted[MOST_CELLS];
    for (int64_t n = 0; n < count; n++) {
        const double value = values[places[n]];
        int64_t at = n;
        for (; at > 0 && sorted[at - 1] > value; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = value;
    }
    return sorted[count / 2];
}

/* The noise beside a signal, mean power of a bin; -1 where it does not show. sides: places, one side after the other. */
static double noise_beside(const double* average, const int64_t* sides, const int64_t* counts, int64_t number,
                           const struct spectrum_now* now, const struct spectrum_limits* limits)
{
    double floors[4], least = 0, most = 0;
    int64_t fewest = 0;
    if (!number)
        return -1;
    for (int64_t n = 0; n < number; sides += counts[n++]) {
        floors[n] = middle_of(average, sides, counts[n]);
        least = !n || floors[n] < least ? floors[n] : least;
        most = !n || floors[n] > most ? floors[n] : most;
        fewest = !n || counts[n] < fewest ? counts[n] : fewest;
    }
    const double independent = (double)fewest * now->blocks * limits->independent;
    if (least <= 0 || 10 * log10(most / least) > limits->flat_db + limits->flat_noise / sqrt(independent))
        return -1;
    return (floors[0] + floors[1]) / 2 / now->blocks / limits->hann;
}

/* Weights of cells: 0 from where another signal begins, on either side of the middle. */
static void alone(const double* power, int64_t cells, const double* away, double rise, double inner, float* weight)
{
    double smooth[MOST_CELLS];
    for (int64_t k = 0; k < cells; k++) {
        const double before = k ? power[k - 1] : 0, after = k + 1 < cells ? power[k + 1] : 0;
        smooth[k] = 0.25 * before + 0.5 * power[k] + 0.25 * after;
        weight[k] = 1;
    }
    for (int64_t step = -1; step <= 1; step += 2) {
        const int64_t middle = cells / 2;
        double least = smooth[middle];
        int other = 0;
        for (int64_t k = middle; k >= 0 && k < cells; k += step) {
            least = smooth[k] < least ? smooth[k] : least;
            other |= smooth[k] > rise * least && away[k] > inner;
            weight[k] = other ? 0 : weight[k];
        }
    }
}

/* The log likelihood, a bin, of the likeliest pulses of a kind, at finer levels; weights are 0 or 1. */
WIDE static double finer(const struct pulse_choice* choice, int kind, const float* best, const int64_t* level,
                         const float* power, const float* weight, double counted)
{
    int64_t top[RARE_TRIED], tried = 0;
    double reached = -DBL_MAX;
    for (int64_t n = 0; n < choice->pulses; n++) {
        if ((choice->wholes[n] != 0) != kind)
            continue;
        int64_t at = tried < RARE_TRIED ? tried++ : RARE_TRIED;
        for (; at > 0 && best[top[at - 1]] < best[n]; at--)
            if (at < RARE_TRIED)
                top[at] = top[at - 1];
        if (at < RARE_TRIED)
            top[at] = n;
    }
    for (int64_t n = 0; n < tried; n++) {
        const double *spectrum = choice->spectra + top[n] * choice->cells, *noise = choice->noises + level[top[n]] * choice->most;
        for (int64_t k = 0; k < choice->most && noise[k] >= 0; k++) {
            /* Products for sums of logarithms: of a lane's 32 cells they stay far above the least double. */
            double scale[LANES] = { 0 }, product[LANES], sum = 0, logs = 0;
            for (int64_t lane = 0; lane < LANES; lane++)
                product[lane] = 1;
            int64_t cell = 0;
            for (; cell + LANES <= choice->cells; cell += LANES)
                for (int64_t lane = 0; lane < LANES; lane++) {
                    const double density = spectrum[cell + lane] + noise[k];
                    scale[lane] += power[cell + lane] / density;
                    product[lane] *= weight[cell + lane] > 0 ? density : 1;
                }
            for (; cell < choice->cells; cell++) {
                const double density = spectrum[cell] + noise[k];
                scale[cell % LANES] += power[cell] / density;
                product[cell % LANES] *= weight[cell] > 0 ? density : 1;
            }
            for (int64_t lane = 0; lane < LANES; lane += 2) {
                sum += scale[lane] + scale[lane + 1];
                logs += log(product[lane] * product[lane + 1]);
            }
            const double value = -counted * log(sum / counted) - logs;
            reached = value > reached ? value : reached;
        }
    }
    return reached;
}

/* Whether the pulse is a raised cosine, not the root of one. */
static int is_whole(const struct pulse_choice* choice, const float* best, const int64_t* level, const float* power,
                    const float* weight, double counted, double freedom)
{
    const double root = finer(choice, 0, best, level, power, weight, counted);
    const double whole = finer(choice, 1, best, level, power, weight, counted);
    return (whole - root) * freedom > (choice->whole ? 0 : choice->likelier);
}

/* Whether a spectrum shows what is known already: the same pulse, or no signal. now->level: that of the noise. */
static int is_known(const double* average, struct spectrum_now* now, const struct spectrum_limits* limits,
                    const struct pulse_choice* choice, const struct pulse_place* place)
{
    const double* from = average + choice->first;
    double total = 0, counted = 0, sum = 0;
    float weight[MOST_CELLS], power[MOST_CELLS], best[MOST_PULSES];
    int64_t level[MOST_PULSES];
    if (!choice->known)
        return 0;
    for (int64_t k = 0; k < choice->cells; k++)
        total += from[k];
    if (!(total > 0))
        return 1;
    alone(from, choice->cells, choice->away, choice->rise, choice->inner, weight);
    if (memcmp(weight, choice->weight, sizeof(float) * (size_t)choice->cells))
        return 0;
    for (int64_t k = 0; k < choice->cells; k++) {
        power[k] = (float)(from[k] / total) * weight[k];
        sum += power[k];
        counted += weight[k];
    }
    amrq_pulse_likelihoods(power, choice->cells, choice->inverse, choice->means, choice->levels, choice->pulses,
                           (float)counted, best, level);
    const double freedom = now->blocks * limits->independent, noise = -counted * log(sum / counted);
    if (now->fresh <= choice->rare && now->blocks >= choice->rare_blocks
        && is_whole(choice, best, level, power, weight, counted, freedom) != choice->whole)
        return 0;
    int64_t most = -1;
    for (int64_t n = 0; n < choice->pulses; n++)
        if (choice->allowed[n] && (most < 0 || best[n] > best[most]))
            most = n;
    const double likelihood = (double)best[most] * freedom - noise * freedom;
    if (likelihood < choice->sure) {
        now->likelihood = choice->present < 0 ? likelihood : now->likelihood;
        return choice->present < 0;
    }
    if (choice->present < 0)
        return 0;
    if (most != choice->present && !((double)best[most] * freedom - (double)best[choice->present] * freedom < choice->better))
        return 0;
    if (!place->inverse[level[choice->present]])
        return 0;
    now->likelihood = likelihood;
    now->level = level[choice->present];
    return 1;
}

/* Whether the last third of the places that are known is elsewhere than the first. */
static int differs(const struct follow_now* now, int64_t length, double deviation)
{
    double known[64], before = 0, after = 0;
    int64_t count = 0;
    for (int64_t n = now->count > length ? now->count - length : 0; n < now->count; n++)
        if (now->deviations[n] > 0)
            known[count++] = now->places[n];
    const int64_t third = count / 3;
    for (int64_t n = 0; n < third; n++) {
        before += known[n];
        after += known[count - third + n];
    }
    return third && fabs(after - before) > now->suspect * deviation * sqrt(2.0 * (double)third);
}

/* Take in the place of a block's spectrum, as it was found; returns whether the signal may move. */
static int may_move(struct follow_now* now, const double* found, const struct pulse_place* place)
{
    const double mid = found[2], bend = 2 * mid - found[1] - found[3];
    const int there = found[0] > 0 && found[0] < (double)(place->places - 1)
                      && (mid - found[4]) * place->independent > place->sure;
    now->places[now->count] = there ? place->least + (double)place->step * (found[0] + 0.5 * (found[3] - found[1]) / bend) : 0;
    now->deviations[now->count] = there ? (double)place->step / sqrt(bend * place->independent) : 0;
    const double deviation = now->deviations[now->count++];
    now->number++;
    now->blind = there ? 0 : now->blind + 1;
    if (!there)
        return now->blind == now->gone;
    return now->number % now->often == 0
           && (differs(now, now->shorter, deviation) || differs(now, now->longer, deviation));
}

/* Average the cells of blocks, up to one that changes what is known; returns how many those are.
 *
 * powers: of bins, [blocks, bins]; cells: [blocks, count]; average: [count], changed; sides: cells of noise beside the
 * signal, one side after the other; counts: how many on each of `number` sides; noises: of each block, [blocks]. Where the
 * signal may move after a block, that is the last one.
 */
int64_t amrq_spectrum_run(const float* powers, const double* cells, int64_t blocks, int64_t count, double* average,
                          struct spectrum_now* now, const struct spectrum_limits* limits,
                          const struct pulse_choice* choice, const struct pulse_place* place, struct follow_now* follow,
                          const int64_t* sides, const int64_t* counts, int64_t number, double* noises)
{
    for (int64_t block = 0; block < blocks; block++) {
        const double* power = cells + count * block;
        double total = 0, mean = 0, before[MOST_CELLS];
        for (int64_t k = 0; k < count; k++) {
            total += power[k];
            mean += average[k];
        }
        mean /= now->blocks > 1 ? now->blocks : 1;
        const struct spectrum_now last = *now;
        now->fresh = total > limits->change * mean ? 0 : now->fresh;
        now->weak = total * limits->change < mean ? now->weak + 1 : 0;
        const int ended = now->weak == limits->first;
        now->fresh = (ended ? 0 : now->fresh) + 1;
        now->seen++;
        memcpy(before, average, sizeof(double) * (size_t)count);
        for (int64_t k = 0; k < count; k++)
            average[k] = (ended ? 0 : limits->keep * average[k]) + power[k];
        now->blocks = (ended ? 0 : limits->keep * now->blocks) + 1;
        const int soon = now->fresh <= limits->memory && now->seen >= limits->first;
        if ((soon || now->seen % limits->often == 0) && !is_known(average, now, limits, choice, place)) {
            memcpy(average, before, sizeof(double) * (size_t)count);
            *now = last;
            return block;
        }
        if (soon || now->seen % limits->noise_often == 0)
            now->noise = noise_beside(average, sides, counts, number, now, limits);
        noises[block] = now->noise;
        double found[5] = { 0 };
        if (place->places)
            amrq_pulse_places(powers + place->bins * block, 1, place->bins, place->first, place->width,
                              place->inverse[now->level], place->log[now->level], place->weight, place->places,
                              place->compared, found);
        follow->look = may_move(follow, found, place);
        if (follow->look)
            return block + 1;
    }
    return blocks;
}
