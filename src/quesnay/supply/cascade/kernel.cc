// The days of the cascade on blocks of links (see forward.py and adjoint.py for the same days in JAX): three functions that
// XLA calls, each for float and double, for one scenario and for a batch with the scenarios last.
//
// A firm's links lie in a column of a block (width, firms). One scenario: the inner loops run along the firms of a row, or,
// in narrow blocks, along several rows at a time. A batch: they run along `kLanes` scenarios, whose days are all done before
// those of the next. What a link reads and adds to at its supplier lies side by side in memory, so that it costs one miss.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

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

// The scenarios at hand. C is 1 without a batch; Full says that there are C of them, known when this file is compiled.
template <Index C, bool Full>
struct Lanes {
  static constexpr Index width = C;
  Index batch, first, count;
  Index size() const { return Full ? C : count; }
  Index at(Index row) const { return C == 1 ? row : row * batch + first; }
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

// Call f(firm, lane) for all firms and the scenarios at hand.
template <typename L, typename F>
inline void each_firm(const Shape& shape, L lanes, F f) {
  if constexpr (L::width == 1) {
    for (Index i = 0; i < shape.firms; ++i) f(i, i);
  } else {
    for (Index i = 0; i < shape.firms; ++i)
      for (Index l = 0; l < lanes.size(); ++l) f(lanes.at(i) + l, i * L::width + l);
  }
}

// Walk all links in groups whose inner loop is long. `Group` holds the numbers of the group's firms: open(i, place) reads
// those of item i; row(n, slot) works on n slots from `slot`; close(i, place) writes back. Items are firms, repeated for
// each of the rows that are taken at a time, or in a batch the scenarios of one firm.
template <typename L, typename Group>
inline void walk(const Shape& shape, L lanes, Group& group) {
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
      for (Index f = 0; f < block.firms; ++f) {
        const Index place = lanes.at(block.place + f), n = lanes.size();
        for (Index i = 0; i < n; ++i) group.open(i, place + i);
        for (Index w = 0; w < block.width; ++w) group.row(n, block.slot + w * block.firms + f);
        for (Index i = 0; i < n; ++i) group.close(i, place + i, true);
      }
    }
  }
}

// A day forwards: use, receipt, orders. `at_supplier` holds the share served and the demand placed so far.
template <typename T, typename L>
struct Advance {
  static constexpr Index size = L::width == 1 ? kTile : kLanes;
  Links<T> links;
  L lanes;
  const T *output, *earlier, *demand, *pull, *rate;
  T *stock, *least, *at_supplier;
  T x[size], held[size], wished[size], speed[size], low[size], placed[size];

  void open(Index i, Index k) {
    x[i] = output[k], speed[i] = rate[k], held[i] = earlier[k] + pull[k], wished[i] = demand[k] + pull[k];
    low[i] = std::numeric_limits<T>::infinity();
  }
  void close(Index i, Index k, bool first) { least[k] = first ? low[i] : lesser(least[k], low[i]); }

  void row(Index n, Index slot) {
    const int32_t* __restrict supplier = links.supplier + slot;
    T* __restrict s = stock + lanes.at(slot);
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
        s[i] = now;
        lowest[i] = lesser(lowest[i], now);
        orders[i] = a[i] * positive(wish[i] - now * per_day[i]);
      }
      for (Index i = 0; i < n; ++i) there[2 * supplier[i] + 1] += orders[i];
    } else {
      T* __restrict there = at_supplier + 2 * L::width * Index(supplier[0]);
      const bool each = links.coefficient.each;
      const T* a = links.coefficient.value + (each ? lanes.at(slot) : slot);
      const T shared = *a;
#pragma omp simd
      for (Index i = 0; i < lanes.size(); ++i) {
        const T old = s[i], order = positive(held[i] - old * speed[i]);
        const T now = (old - lesser(x[i], old)) + there[i] * order;
        s[i] = now;
        low[i] = lesser(low[i], now);
        there[L::width + i] += (each ? a[i] : shared) * positive(wished[i] - now * speed[i]);
      }
    }
  }
};

// A day forwards once more: the stocks only, from output and shares that are known.
template <typename T, typename L>
struct Replay {
  static constexpr Index size = L::width == 1 ? kTile : kLanes;
  const int32_t* supplier;
  L lanes;
  const T *output, *earlier, *pull, *rate, *served, *stock;
  T* after;
  T x[size], held[size], speed[size], got[size];

  void open(Index i, Index k) { x[i] = output[k], speed[i] = rate[k], held[i] = earlier[k] + pull[k]; }
  void close(Index, Index, bool) {}

  void row(Index n, Index slot) {
    const T* __restrict s = stock + lanes.at(slot);
    T* __restrict to = after + lanes.at(slot);
    const int32_t* __restrict j = supplier + slot;
    if constexpr (L::width > 1) n = lanes.size();
    for (Index i = 0; i < n; ++i) got[i] = served[L::width == 1 ? Index(j[i]) : L::width * Index(j[0]) + i];
#pragma omp simd
    for (Index i = 0; i < n; ++i)
      to[i] = (s[i] - lesser(x[i], s[i])) + got[i] * positive(held[i] - s[i] * speed[i]);
  }
};

// The links between day t - 1 and day t backwards: what the orders of t - 1 ask of demand and of what day t served, and, if
// `Fused`, what the stocks then ask of the deliveries of t - 1. `at_supplier` holds both prices and the sum of the latter.
template <typename T, typename L, bool Fused>
struct Reverse {
  static constexpr Index size = L::width == 1 ? kTile : kLanes, step = L::width == 1 ? 4 : 3 * L::width;
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

  void row(Index n, Index slot) {
    const int32_t* __restrict j = links.supplier + slot;
    const T* __restrict s1 = stock_after + lanes.at(slot);
    const T* __restrict s0 = Fused ? stock_before + lanes.at(slot) : nullptr;
    T* __restrict g = g_stock + lanes.at(slot);
    const bool each = links.coefficient.each;
    const T* __restrict a = links.coefficient.value + (each ? lanes.at(slot) : slot);
    T* __restrict gc = g_coefficient ? g_coefficient + lanes.at(slot) : nullptr;
    if constexpr (L::width > 1) n = lanes.size();
    T* __restrict there = at_supplier + (L::width == 1 ? 0 : step * Index(j[0]));
    for (Index i = 0; i < n; ++i) {
      const Index k = L::width == 1 ? step * Index(j[i]) : i;
      price[i] = there[k], got[i] = there[k + L::width];
    }
    if (gc)
      for (Index i = 0; i < n; ++i) gc[i] += positive(held1[i] - s1[i] * speed[i]) * price[i];
    const T shared = *a;
#pragma omp simd
    for (Index i = 0; i < n; ++i) {
      const T own = L::width == 1 || each ? a[i] : shared;
      const T h = half(held1[i] - s1[i] * speed[i]) * (own * price[i] + g[i] * got[i]);
      const T now = g[i] + (s1[i] <= bound1[i] ? least1[i] : T(0)) - speed[i] * h;
      pulled[i] += h;
      rated[i] += s1[i] * h;
      g[i] = now;
      if constexpr (Fused) {
        use[i] += now;
        tied[i] += s0[i] <= bound0[i] ? T(1) : T(0);
        delivered[i] = now * positive(held0[i] - s0[i] * speed[i]);
      }
    }
    if constexpr (Fused)
      for (Index i = 0; i < n; ++i) there[2 * L::width + (L::width == 1 ? step * Index(j[i]) : i)] += delivered[i];
  }
};

template <typename T>
std::unique_ptr<T[]> scratch(Index n) {
  return std::unique_ptr<T[]>(new T[n]);
}

// What XLA hands over, by position, for a function of T.
template <typename T>
struct Call {
  ffi::RemainingArgs args;
  ffi::RemainingRets rets;
  const T* in(size_t i) const { return static_cast<const T*>(args.get<ffi::AnyBuffer>(i)->untyped_data()); }
  T* out(size_t i) const {
    ffi::Result<ffi::AnyBuffer> found = *rets.get<ffi::AnyBuffer>(i);
    return found->element_count() ? static_cast<T*>(found->untyped_data()) : nullptr;
  }
  // Where what is changed in place lies; XLA may have given it a buffer of its own.
  T* moved(size_t from, size_t to) const {
    T* result = out(to);
    if (result && result != in(from)) std::copy_n(in(from), args.get<ffi::AnyBuffer>(from)->element_count(), result);
    return result;
  }
  Links<T> links(Index slots) const {
    const bool each = Index(args.get<ffi::AnyBuffer>(1)->element_count()) > slots;
    return {static_cast<const int32_t*>(args.get<ffi::AnyBuffer>(0)->untyped_data()), {in(1), each}};
  }
};

// forward: supplier, coefficient, pull, rate, capacity, z, d, stock, demand, earlier, least -> stock, least, output, demand.
struct Forward {
  static constexpr size_t state = 7, days = 5;

  template <typename T, typename L>
  static void run(const Call<T>& call, const Shape& shape, Slack<T> slack, L lanes) {
    const Index row = shape.firms * shape.batch;
    const T *pull = call.in(2), *rate = call.in(3), *capacity = call.in(4), *z = call.in(5), *d = call.in(6);
    const T *demand = call.in(8), *earlier = call.in(9);
    T *least = call.out(1), *output = call.out(2), *path = call.out(3);
    auto pairs = scratch<T>(2 * shape.firms * L::width);
    T* at_supplier = pairs.get();
    Advance<T, L> group{call.links(shape.slots), lanes};
    group.pull = pull, group.rate = rate, group.stock = call.out(0), group.least = least;
    group.at_supplier = at_supplier;
    for (Index t = 0; t < shape.days; ++t) {
      const T *zt = z + t * row, *dt = d + t * row;
      T *x = output + t * row, *placed = path + t * row;
      each_firm(shape, lanes, [=](Index k, Index q) {
        x[k] = slack.settle(demand[k], zt[k] * capacity[k], least[k]);
        const Index p = L::width == 1 ? 2 * q : q + q / L::width * L::width;
        at_supplier[p] = share(x[k], demand[k]);
        at_supplier[p + L::width] = dt[k];
      });
      group.output = x, group.demand = demand, group.earlier = earlier;
      walk(shape, lanes, group);
      each_firm(shape, lanes, [=](Index k, Index q) {
        placed[k] = at_supplier[L::width == 1 ? 2 * q + 1 : q + (q / L::width + 1) * L::width];
      });
      earlier = demand, demand = placed;
    }
  }
  template <typename T>
  static void before(const Call<T>& call) {
    call.moved(7, 0), call.moved(10, 1);
  }
};

// backward: supplier, coefficient, pull, rate, capacity, z, output, demand path, demand, earlier, stock at the start, stock at
// the end, g_output, g_demand, and what is carried: g_stock, demand, least, served, bound; g_pull, g_rate, g_capacity,
// g_coefficient (empty if not wanted) -> what is carried, g_z, g_d, room for the stocks between.
struct Backward {
  static constexpr size_t state = 10, days = 5;

  template <typename T, typename L>
  static void run(const Call<T>& call, const Shape& shape, Slack<T> slack, L lanes) {
    const Index row = shape.firms * shape.batch, all = shape.slots * shape.batch, days = shape.days;
    const T *pull = call.in(2), *rate = call.in(3), *capacity = call.in(4), *z = call.in(5), *output = call.in(6);
    const T *path = call.in(7), *g_output = call.in(12), *g_demand = call.in(13);
    T *demanded = call.out(1), *least = call.out(2), *served = call.out(3), *bound = call.out(4);
    T *g_pull = call.out(5), *g_capacity = call.out(7), *g_z = call.out(9), *g_d = call.out(10), *between = call.out(11);
    // Demand that day t serves, and that of the day before.
    const auto demand = [&](Index t) { return t == 0 ? call.in(8) : path + (t - 1) * row; };
    const auto earlier = [&](Index t) { return t == 0 ? call.in(9) : demand(t - 1); };
    const auto stock = [&](Index t) { return t == 0 ? call.in(10) : t == days ? call.in(11) : between + (t - 1) * all; };

    using Pass = Reverse<T, L, true>;
    auto room = scratch<T>(Pass::step * shape.firms * L::width), own = scratch<T>(row * 4);
    T *there = room.get(), *used = own.get(), *ties = used + row, *wishes = ties + row, *bound_before = wishes + row;

    Replay<T, L> replay{call.links(shape.slots).supplier, lanes};
    replay.pull = pull, replay.rate = rate, replay.served = there;
    for (Index t = 0; t + 1 < days; ++t) {
      const T *x = output + t * row, *before = demand(t);
      each_firm(shape, lanes, [=](Index k, Index q) { there[q] = share(x[k], before[k]); });
      replay.output = x, replay.earlier = earlier(t), replay.stock = stock(t), replay.after = between + t * all;
      walk(shape, lanes, replay);
    }

    Pass pass{call.links(shape.slots), lanes};
    pass.pull = pull, pass.rate = rate, pass.bound_after = bound, pass.least_after = least, pass.at_supplier = there;
    pass.g_stock = call.out(0), pass.g_rate = call.out(6), pass.g_coefficient = call.out(8);
    pass.used = used, pass.ties = ties, pass.wishes = wishes, pass.bound_before = bound_before;
    for (Index t = days - 1; t >= 0; --t) {
      const T *x = output + t * row, *asked = g_demand + t * row, *zt = z + t * row, *gx = g_output + t * row;
      const T* before = demand(t);
      T *gz = g_z + t * row, *gd = g_d + t * row;
      each_firm(shape, lanes, [=](Index k, Index q) {
        const Index p = place<Pass, L>(q);
        there[p] = gd[k] = demanded[k] + asked[k];
        there[p + L::width] = served[k];
        there[p + 2 * L::width] = 0;
        used[k] = ties[k] = wishes[k] = 0;
        bound_before[k] = slack.bound(x[k]);
      });
      pass.held_after = before, pass.held_before = earlier(t);
      pass.stock_after = stock(t + 1), pass.stock_before = stock(t);
      walk(shape, lanes, pass);
      each_firm(shape, lanes, [=](Index k, Index q) {
        const T delivered = there[place<Pass, L>(q) + 2 * L::width], d = before[k], cap = zt[k] * capacity[k];
        const T r = share(x[k], d), per = d > 0 ? delivered / d : T(0), g = gx[k] - used[k] + per;
        const bool by_demand = d <= cap * (1 + slack.tie), enough = lesser(d, cap) <= x[k] * (1 + slack.tie);
        const T g_cap = enough && !by_demand ? g : T(0);
        demanded[k] = wishes[k] - per * r + (enough && by_demand ? g : T(0));
        least[k] = (enough ? T(0) : g) / std::max(ties[k], T(1));
        gz[k] = g_cap * capacity[k];
        g_capacity[k] += g_cap * zt[k];
        g_pull[k] += wishes[k];
        served[k] = r, bound[k] = bound_before[k];
      });
    }
  }
  template <typename Pass, typename L>
  static Index place(Index q) {
    return L::width == 1 ? 4 * q : q / L::width * Pass::step + q % L::width;
  }
  template <typename T>
  static void before(const Call<T>& call) {
    for (size_t i = 0; i < 9; ++i) call.moved(14 + i, i);
  }
};

// finish: supplier, coefficient, pull, rate, stock, earlier, g_stock, least, served, bound, g_pull, g_rate -> g_stock, what
// the orders before day 0 ask of the demand before them, g_pull, g_rate.
struct Finish {
  static constexpr size_t state = 4, days = 5;

  template <typename T, typename L>
  static void run(const Call<T>& call, const Shape& shape, Slack<T>, L lanes) {
    using Pass = Reverse<T, L, false>;
    auto room = scratch<T>(Pass::step * shape.firms * L::width);
    T *there = room.get(), *wishes = call.out(1), *g_pull = call.out(2);
    const T* served = call.in(8);
    each_firm(shape, lanes, [=](Index k, Index q) {
      const Index p = Backward::place<Pass, L>(q);
      there[p] = 0, there[p + L::width] = served[k], wishes[k] = 0;
    });
    Pass pass{call.links(shape.slots), lanes};
    pass.pull = call.in(2), pass.rate = call.in(3), pass.stock_after = call.in(4), pass.held_after = call.in(5);
    pass.least_after = call.in(7), pass.bound_after = call.in(9), pass.at_supplier = there;
    pass.g_stock = call.out(0), pass.wishes = wishes, pass.g_rate = call.out(3), pass.g_coefficient = nullptr;
    walk(shape, lanes, pass);
    each_firm(shape, lanes, [=](Index k, Index) { g_pull[k] += wishes[k]; });
  }
  template <typename T>
  static void before(const Call<T>& call) {
    call.moved(6, 0), call.moved(10, 2), call.moved(11, 3);
  }
};

template <typename What, typename T>
ffi::Error run(ffi::RemainingArgs args, ffi::RemainingRets rets, ffi::Span<const int64_t> blocks, double tie) {
  const Call<T> call{args, rets};
  const auto stock = args.get<ffi::AnyBuffer>(What::state)->dimensions(), days = args.get<ffi::AnyBuffer>(What::days)->dimensions();
  const auto firms = args.get<ffi::AnyBuffer>(2)->dimensions();
  Shape shape{firms[0], stock[0], days[0], stock.size() > 1 ? stock[1] : 1, {}};
  for (size_t i = 0; i + 3 < blocks.size(); i += 4)
    shape.blocks.push_back({blocks[i], blocks[i + 1], blocks[i + 2], blocks[i + 3]});
  const Slack<T> slack{T(tie) * std::numeric_limits<T>::epsilon()};
  What::before(call);
  if (stock.size() == 1) {
    What::run(call, shape, slack, Lanes<1, true>{1, 0, 1});
  } else {
    Index first = 0;
    for (; first + kLanes <= shape.batch; first += kLanes)
      What::run(call, shape, slack, Lanes<kLanes, true>{shape.batch, first, kLanes});
    if (first < shape.batch)
      What::run(call, shape, slack, Lanes<kLanes, false>{shape.batch, first, shape.batch - first});
  }
  return ffi::Error::Success();
}

template <typename What>
ffi::Error either(ffi::RemainingArgs args, ffi::RemainingRets rets, ffi::Span<const int64_t> blocks, double tie) {
  // XLA checks neither number nor types: the Python beside this file gives them.
  const bool single = args.get<ffi::AnyBuffer>(2)->element_type() == ffi::F32;
  return single ? run<What, float>(args, rets, blocks, tie) : run<What, double>(args, rets, blocks, tie);
}

}  // namespace

#define QUESNAY_HANDLER(name, what)                                       \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(name, either<what>,                       \
                                ffi::Ffi::Bind()                          \
                                    .RemainingArgs()                      \
                                    .RemainingRets()                      \
                                    .Attr<ffi::Span<const int64_t>>("blocks") \
                                    .Attr<double>("tie"))

QUESNAY_HANDLER(quesnay_forward, Forward);
QUESNAY_HANDLER(quesnay_backward, Backward);
QUESNAY_HANDLER(quesnay_finish, Finish);
