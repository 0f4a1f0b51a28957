// One day of the cascade over the links of a firm network, forwards and backwards (see forward.py and adjoint.py for the
// same in JAX); kernel.cc puts days together.
//
// A firm's links lie in a column of a block (width, firms). One scenario: the inner loops run along the firms of a row, or,
// in narrow blocks, along several rows at a time. A batch: they run along `kLanes` scenarios, whose days are all done before
// those of the next. What a link reads and adds to at its supplier lies side by side in memory, so that it costs one miss.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace {

using Index = int64_t;
constexpr Index kTile = 256;   // firms at a time, so that their numbers stay in the nearest cache
constexpr Index kNarrow = 32;  // blocks of fewer firms take several rows at a time, with about as many slots
constexpr Index kLanes = 16;   // scenarios at a time

struct Block {
  Index slot, place, firms, width;
};

struct Shape {
  Index firms, slots, days, batch;
  std::vector<Block> blocks;
};

// The scenarios at hand, `count` of them from `first`. C is 1 without a batch.
template <Index C>
struct Lanes {
  static constexpr Index width = C;
  Index batch, first, count;
  Index at(Index row) const { return C == 1 ? row : row * batch + first; }
  // Where part p of what belongs to a supplier lies, of `parts` of them.
  Index part(Index parts, Index row, Index p) const { return C == 1 ? row * parts + p : (row * parts + p) * batch + first; }
};

// By value: the compiler does not vectorise std::min, which chooses between addresses.
template <typename T>
T lesser(T a, T b) {
  return a < b ? a : b;
}

template <typename T>
struct Slack {
  T tie;
  T settle(T demand, T capacity, T least) const {
    const T wanted = lesser(demand, capacity);
    return wanted <= least * (1 + tie) ? wanted : least;
  }
  T bound(T x) const { return std::isfinite(x) ? x + tie * std::abs(x) : T(-1); }
};

template <typename T>
T share(T output, T demand) {
  return demand > 0 ? output / demand : T(0);
}

template <typename T>
T positive(T v) {
  return v > 0 ? v : T(0);
}

// The derivative of max(0, v): shared evenly at 0.
template <typename T>
T half(T v) {
  return v > 0 ? T(1) : (v == 0 ? T(0.5) : T(0));
}

// Coefficients are one per slot or, in a batch, one per slot and scenario.
template <typename T>
struct Coefficient {
  const T* value;
  bool each;
};

template <typename T>
struct Links {
  const int32_t* supplier;
  Coefficient<T> coefficient;
};

// Call f(k, i, l) for all firms and scenarios: k is where their number lies, i the firm, l the scenario.
template <typename L, typename F>
inline void each_firm(const Shape& shape, const L&, F f) {
  if constexpr (L::width == 1) {
    for (Index i = 0; i < shape.firms; ++i) f(i, i, Index(0));
  } else {
    for (Index i = 0; i < shape.firms; ++i)
      for (Index l = 0; l < shape.batch; ++l) f(i * shape.batch + l, i, l);
  }
}

// Walk all links in groups whose inner loop is long. `Group` holds the numbers of the group's firms: open(i, place) reads
// those of item i; row(n, slot) works on n slots from `slot`; close(i, place) writes back. Items are firms, repeated for
// each of the rows that are taken at a time, or in a batch the scenarios of one firm.
template <typename L, typename Group>
inline void walk(const Shape& shape, const L&, Group& group) {
  for (const Block& block : shape.blocks) {
    if constexpr (L::width == 1) {
      if (block.firms < kNarrow) {
        const Index rows = std::min(block.width, (kNarrow + block.firms - 1) / block.firms), n = rows * block.firms;
        for (Index i = 0; i < n; i += block.firms)
          for (Index f = 0; f < block.firms; ++f) group.open(i + f, block.place + f);
        const Index end = block.slot + block.width * block.firms;
        for (Index slot = block.slot; slot < end; slot += n) group.row(std::min(n, end - slot), slot);
        for (Index i = 0; i < n; i += block.firms)
          for (Index f = 0; f < block.firms; ++f) group.close(i + f, block.place + f, i == 0);
        continue;
      }
      for (Index first = 0; first < block.firms; first += kTile) {
        const Index n = std::min(kTile, block.firms - first);
        for (Index i = 0; i < n; ++i) group.open(i, block.place + first + i);
        for (Index w = 0; w < block.width; ++w) group.row(n, block.slot + w * block.firms + first);
        for (Index i = 0; i < n; ++i) group.close(i, block.place + first + i, true);
      }
    } else {
      // Several firms and all their scenarios (up to kTile numbers), so that rows are read in long pieces.
      Index& first = group.lanes.first;
      for (Index from = 0; from < shape.batch; from += kTile) {
        const Index batch = std::min(kTile, shape.batch - from), most = std::max<Index>(1, kTile / batch);
        for (Index f = 0; f < block.firms; f += most) {
          const Index firms = std::min(most, block.firms - f);
          first = from;
          for (Index g = 0; g < firms; ++g)
            for (Index i = 0; i < batch; ++i) group.open(g * batch + i, group.lanes.at(block.place + f + g) + i);
          for (Index w = 0; w < block.width; ++w)
            for (Index g = 0; g < firms; ++g) {
              const Index slot = block.slot + w * block.firms + f + g;
              // The usual number of scenarios is known when this is compiled.
              for (first = from; first + L::width <= from + batch; first += L::width)
                group.row(std::integral_constant<Index, L::width>(), slot, g * batch + first - from);
              if (first < from + batch) group.row(from + batch - first, slot, g * batch + first - from);
            }
          first = from;
          for (Index g = 0; g < firms; ++g)
            for (Index i = 0; i < batch; ++i) group.close(g * batch + i, group.lanes.at(block.place + f + g) + i, true);
        }
      }
    }
  }
}

// A day forwards: use, receipt, orders. `at_supplier` holds the share served and the demand placed so far.
template <typename T, typename L>
struct Advance {
  static constexpr Index size = kTile;
  Links<T> links;
  L lanes;
  const T *output, *earlier, *demand, *pull, *rate, *stock;
  T *after, *least, *at_supplier;  // `after` may be `stock`
  T x[size], held[size], wished[size], speed[size], low[size], placed[size];

  void open(Index i, Index k) {
    x[i] = output[k], speed[i] = rate[k], held[i] = earlier[k] + pull[k], wished[i] = demand[k] + pull[k];
    low[i] = std::numeric_limits<T>::infinity();
  }
  void close(Index i, Index k, bool first) { least[k] = first ? low[i] : lesser(least[k], low[i]); }

  template <typename N>
  void row(N n, Index slot, Index item = 0) {
    const int32_t* __restrict supplier = links.supplier + slot;
    const T* s = stock + lanes.at(slot);
    T* to = after + lanes.at(slot);
    if constexpr (L::width == 1) {
      // Locals, so that the compiler sees that none of them overlap.
      const T *__restrict a = links.coefficient.value + slot, *__restrict use = x, *__restrict now_held = held;
      const T *__restrict wish = wished, *__restrict per_day = speed;
      T *__restrict lowest = low, *__restrict orders = placed, *__restrict there = at_supplier;
      for (Index i = 0; i < n; ++i) orders[i] = there[2 * Index(supplier[i])];
#pragma omp simd
      for (Index i = 0; i < n; ++i) {
        const T old = s[i], order = positive(now_held[i] - old * per_day[i]);
        const T now = (old - lesser(use[i], old)) + orders[i] * order;
        to[i] = now;
        lowest[i] = lesser(lowest[i], now);
        orders[i] = a[i] * positive(wish[i] - now * per_day[i]);
      }
      for (Index i = 0; i < n; ++i) there[2 * supplier[i] + 1] += orders[i];
    } else {
      T* __restrict there = at_supplier + lanes.part(2, supplier[0], 0);
      T* __restrict sum = at_supplier + lanes.part(2, supplier[0], 1);
      const bool each = links.coefficient.each;
      const T* a = links.coefficient.value + (each ? lanes.at(slot) : slot);
      const T shared = *a;
#pragma omp simd
      for (Index i = 0; i < n; ++i) {
        const T old = s[i], order = positive(held[item + i] - old * speed[item + i]);
        const T now = (old - lesser(x[item + i], old)) + there[i] * order;
        to[i] = now;
        low[item + i] = lesser(low[item + i], now);
        sum[i] += (each ? a[i] : shared) * positive(wished[item + i] - now * speed[item + i]);
      }
    }
  }
};

// A day forwards once more: the stocks only, from output and shares that are known.
template <typename T, typename L>
struct Replay {
  static constexpr Index size = kTile;
  const int32_t* supplier;
  L lanes;
  const T *output, *earlier, *pull, *rate, *served, *stock;
  T* after;
  T x[size], held[size], speed[size], got[size];

  void open(Index i, Index k) { x[i] = output[k], speed[i] = rate[k], held[i] = earlier[k] + pull[k]; }
  void close(Index, Index, bool) {}

  template <typename N>
  void row(N n, Index slot, Index item = 0) {
    const T* __restrict s = stock + lanes.at(slot);
    T* __restrict to = after + lanes.at(slot);
    const int32_t* __restrict j = supplier + slot;
    for (Index i = 0; i < n; ++i) got[i] = served[L::width == 1 ? Index(j[i]) : lanes.at(j[0]) + i];
#pragma omp simd
    for (Index i = 0; i < n; ++i)
      to[i] = (s[i] - lesser(x[item + i], s[i])) + got[i] * positive(held[item + i] - s[i] * speed[item + i]);
  }
};

// The links between day t - 1 and day t backwards: what the orders of t - 1 ask of demand and of what day t served, and, if
// `Fused`, what the stocks then ask of the deliveries of t - 1. `at_supplier` holds both prices and the sum of the latter.
template <typename T, typename L, bool Fused>
struct Reverse {
  static constexpr Index size = kTile, parts = L::width == 1 ? 4 : 3;
  Links<T> links;
  L lanes;
  const T *held_after, *held_before, *pull, *rate, *bound_after, *least_after, *bound_before, *stock_after, *stock_before;
  T *g_stock, *wishes, *g_rate, *g_coefficient, *used, *ties, *at_supplier;
  T held1[size], held0[size], speed[size], bound1[size], bound0[size], least1[size];
  T pulled[size], rated[size], use[size], tied[size], delivered[size], price[size], got[size];

  void open(Index i, Index k) {
    held1[i] = held_after[k] + pull[k], speed[i] = rate[k], bound1[i] = bound_after[k], least1[i] = least_after[k];
    pulled[i] = rated[i] = use[i] = tied[i] = 0;
    if constexpr (Fused) held0[i] = held_before[k] + pull[k], bound0[i] = bound_before[k];
  }
  void close(Index i, Index k, bool first) {
    wishes[k] = first ? pulled[i] : wishes[k] + pulled[i];
    g_rate[k] -= rated[i];
    if constexpr (Fused) used[k] = first ? use[i] : used[k] + use[i], ties[k] = first ? tied[i] : ties[k] + tied[i];
  }

  template <typename N>
  void row(N n, Index slot, Index item = 0) {
    const int32_t* __restrict j = links.supplier + slot;
    const T* __restrict s1 = stock_after + lanes.at(slot);
    const T* __restrict s0 = Fused ? stock_before + lanes.at(slot) : nullptr;
    T* __restrict g = g_stock + lanes.at(slot);
    const bool each = links.coefficient.each;
    const T* __restrict a = links.coefficient.value + (each ? lanes.at(slot) : slot);
    T* __restrict gc = g_coefficient ? g_coefficient + lanes.at(slot) : nullptr;
    for (Index i = 0; i < n; ++i) {
      const Index at = L::width == 1 ? i : 0, lane = i - at;
      price[i] = at_supplier[lanes.part(parts, j[at], 0) + (L::width == 1 ? 0 : lane)];
      got[i] = at_supplier[lanes.part(parts, j[at], 1) + (L::width == 1 ? 0 : lane)];
    }
    if (gc)
      for (Index i = 0; i < n; ++i) gc[i] += positive(held1[item + i] - s1[i] * speed[item + i]) * price[i];
    const T shared = *a;
#pragma omp simd
    for (Index i = 0; i < n; ++i) {
      const T own = L::width == 1 || each ? a[i] : shared;
      const T h = half(held1[item + i] - s1[i] * speed[item + i]) * (own * price[i] + g[i] * got[i]);
      const T now = g[i] + (s1[i] <= bound1[item + i] ? least1[item + i] : T(0)) - speed[item + i] * h;
      pulled[item + i] += h;
      rated[item + i] += s1[i] * h;
      g[i] = now;
      if constexpr (Fused) {
        use[item + i] += now;
        tied[item + i] += s0[i] <= bound0[item + i] ? T(1) : T(0);
        delivered[i] = now * positive(held0[item + i] - s0[i] * speed[item + i]);
      }
    }
    if constexpr (Fused && L::width == 1) {
      for (Index i = 0; i < n; ++i) at_supplier[parts * Index(j[i]) + 2] += delivered[i];
    } else if constexpr (Fused) {
      T* __restrict sum = at_supplier + lanes.part(parts, j[0], 2);
      for (Index i = 0; i < n; ++i) sum[i] += delivered[i];
    }
  }
};

}  // namespace
