/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The integer network: from received symbols to scores, by docs/integer-network.md, bit for bit what
 * amrq.hardware.IntegerAligner and IntegerNetwork compute; tests/hardware/test_native_engine.py holds them together.
 *
 * Everything works on 32 lanes. At each symbol they are the 32 symbols of a chunk, once a chunk they are 32 chunks.
 * The caller gives the layers as the model has them and asks for a kind of instructions; `amrq_network_prepare` packs
 * the weights for it.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "network_aligner.h"
#include "network_layers.h"
#include "wide.h"

struct network {
    struct tables tables;
    struct layer* layers;
    int32_t kind, symbol_layers, head_layers, mean_shift;
    int32_t channels, side; /* of the first layer; what joins the mean */
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

/* Pack all layers into `memory`, which must be aligned to 64 bytes; return how many bytes it needs, which is all that
 * happens where it is NULL. */
int64_t amrq_network_prepare(struct network* net, void* memory)
{
    struct memory pieces = {memory, 0};
    for (int k = 0; k < net->symbol_layers + net->head_layers; k++)
        pack_layer(net->layers + k, net->kind, &pieces);
    return pieces.used;
}

/* Inputs of one chunk as they were given: [channels, 32]. */
INLINE void take(const int16_t* given, int channels, lanes_t* to)
{
    for (int c = 0; c < channels; c++)
        for (int n = 0; n < LANES; n++)
            to[c][n] = given[c * LANES + n];
}

/* The layers at each symbol, of 32 chunks, aligned or given; the mean's sums are left in `pooled`, [channel][chunk]. */
WIDE void amrq_network_symbols(const struct network* net, const struct block* b, const int16_t* given, lanes_t* pooled)
{
    union inputs first, others[2];
    lanes_t values[MOST];
    const int kind = net->kind, last = net->symbol_layers - 1;
    clear_inputs(kind, net->layers, &first);
    memset(others, 0, sizeof others);
    for (int chunk = 0; chunk < LANES; chunk++) {
        if (b)
            features(&net->tables, b, chunk, values);
        else
            take(given + (int64_t)chunk * net->channels * LANES, net->channels, values);
        put_inputs(kind, net->layers, (const lanes_t*)values, &first);
        const union inputs* from = &first;
        for (int k = 0; k <= last; k++) {
            const struct results to = {k < last ? others + k % 2 : NULL, k < last ? NULL : pooled, chunk, NULL};
            if (kind == PLAIN && k < last && last > 2)
                memset(others + k % 2, 0, sizeof *others); /* rows of another length were there */
            run_layer(kind, net->layers + k, from, &to);
            from = others + k % 2;
        }
    }
}

/* The layers once a chunk, of 32 chunks: the last one's sums are left in `values`. */
WIDE void amrq_network_head(const struct network* net, lanes_t* pooled, int channels, const lanes_t* side,
                            lanes_t* values)
{
    union inputs inputs[2];
    const struct layer* layers = net->layers + net->symbol_layers;
    memset(inputs, 0, sizeof inputs);
    for (int o = 0; o < channels; o++)
        requantise(pooled[o], net->mean_shift);
    for (int k = 0; k < net->side; k++)
        memcpy(pooled[channels + k], side[k], sizeof *side);
    put_inputs(net->kind, layers, (const lanes_t*)pooled, inputs);
    for (int k = 0; k < net->head_layers; k++) {
        const int last = k + 1 == net->head_layers;
        const struct results to = {last ? NULL : inputs + (k + 1) % 2, NULL, 0, last ? values : NULL};
        run_layer(net->kind, layers + k, inputs + k % 2, &to);
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
    lanes_t pooled[MOST], values[MOST];
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
    lanes_t pooled[MOST], values[MOST], sides[MOST];
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
