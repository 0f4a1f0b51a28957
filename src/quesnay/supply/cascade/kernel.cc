// The days of the cascade in C++: three functions that XLA calls, each for float and double, for one scenario and for a batch
// with the scenarios last (B numbers side by side). Shapes: firms (M[, B]), links (slots[, B]), paths (days, M[, B]).

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>

#include "links.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

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

// forward: supplier, coefficient, pull, rate, capacity, z, d, stock, demand, earlier, least -> stock, least, output, demand,
// the stocks between the days (empty if not wanted).
struct Forward {
  static constexpr size_t state = 7, days = 5;

  template <typename T, typename L>
  static void run(const Call<T>& call, const Shape& shape, Slack<T> slack, L lanes) {
    const Index row = shape.firms * shape.batch, all = shape.slots * shape.batch;
    const T *pull = call.in(2), *rate = call.in(3), *capacity = call.in(4), *z = call.in(5), *d = call.in(6);
    const T *demand = call.in(8), *earlier = call.in(9);
    T *least = call.out(1), *output = call.out(2), *path = call.out(3), *between = call.out(4);
    auto pairs = scratch<T>(2 * row);
    T* at_supplier = pairs.get();
    Advance<T, L> group{call.links(shape.slots), lanes};
    group.pull = pull, group.rate = rate, group.least = least, group.at_supplier = at_supplier;
    for (Index t = 0; t < shape.days; ++t) {
      const T *zt = z + t * row, *dt = d + t * row;
      T *x = output + t * row, *placed = path + t * row;
      each_firm(shape, lanes, [=](Index k, Index i, Index l) {
        x[k] = slack.settle(demand[k], zt[k] * capacity[k], least[k]);
        at_supplier[lanes.part(2, i, 0) + l] = share(x[k], demand[k]);
        at_supplier[lanes.part(2, i, 1) + l] = dt[k];
      });
      group.output = x, group.demand = demand, group.earlier = earlier;
      group.stock = between && t > 0 ? between + (t - 1) * all : call.out(0);
      group.after = between && t + 1 < shape.days ? between + t * all : call.out(0);
      walk(shape, lanes, group);
      each_firm(shape, lanes, [=](Index k, Index i, Index l) {
        placed[k] = at_supplier[lanes.part(2, i, 1) + l];
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
// g_coefficient (empty if not wanted); the stocks between the days (empty if they were not kept) -> what is carried, g_z, g_d,
// room for the stocks between (empty if they were kept).
struct Backward {
  static constexpr size_t state = 10, days = 5;

  template <typename T, typename L>
  static void run(const Call<T>& call, const Shape& shape, Slack<T> slack, L lanes) {
    const Index row = shape.firms * shape.batch, all = shape.slots * shape.batch, days = shape.days;
    const T *pull = call.in(2), *rate = call.in(3), *capacity = call.in(4), *z = call.in(5), *output = call.in(6);
    const T *path = call.in(7), *g_output = call.in(12), *g_demand = call.in(13);
    T *demanded = call.out(1), *least = call.out(2), *served = call.out(3), *bound = call.out(4);
    T *g_pull = call.out(5), *g_capacity = call.out(7), *g_z = call.out(9), *g_d = call.out(10);
    T* room_between = call.out(11);
    const T* between = room_between ? room_between : call.in(23);
    // Demand that day t serves, and that of the day before.
    const auto demand = [&](Index t) { return t == 0 ? call.in(8) : path + (t - 1) * row; };
    const auto earlier = [&](Index t) { return t == 0 ? call.in(9) : demand(t - 1); };
    const auto stock = [&](Index t) { return t == 0 ? call.in(10) : t == days ? call.in(11) : between + (t - 1) * all; };

    using Pass = Reverse<T, L, true>;
    auto room = scratch<T>(Pass::parts * shape.firms * shape.batch), own = scratch<T>(row * 4);
    T *there = room.get(), *used = own.get(), *ties = used + row, *wishes = ties + row, *bound_before = wishes + row;

    Replay<T, L> replay{call.links(shape.slots).supplier, lanes};
    replay.pull = pull, replay.rate = rate, replay.served = there;
    for (Index t = 0; room_between && t + 1 < days; ++t) {
      const T *x = output + t * row, *before = demand(t);
      each_firm(shape, lanes, [=](Index k, Index i, Index l) { there[k] = share(x[k], before[k]); });
      replay.output = x, replay.earlier = earlier(t), replay.stock = stock(t), replay.after = room_between + t * all;
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
      each_firm(shape, lanes, [=](Index k, Index i, Index l) {
        there[lanes.part(Pass::parts, i, 0) + l] = gd[k] = demanded[k] + asked[k];
        there[lanes.part(Pass::parts, i, 1) + l] = served[k];
        there[lanes.part(Pass::parts, i, 2) + l] = 0;
        used[k] = ties[k] = wishes[k] = 0;
        bound_before[k] = slack.bound(x[k]);
      });
      pass.held_after = before, pass.held_before = earlier(t);
      pass.stock_after = stock(t + 1), pass.stock_before = stock(t);
      walk(shape, lanes, pass);
      each_firm(shape, lanes, [=](Index k, Index i, Index l) {
        const T delivered = there[lanes.part(Pass::parts, i, 2) + l], d = before[k], cap = zt[k] * capacity[k];
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
    auto room = scratch<T>(Pass::parts * shape.firms * shape.batch);
    T *there = room.get(), *wishes = call.out(1), *g_pull = call.out(2);
    const T* served = call.in(8);
    each_firm(shape, lanes, [=](Index k, Index i, Index l) {
      there[lanes.part(Pass::parts, i, 0) + l] = 0, wishes[k] = 0;
      there[lanes.part(Pass::parts, i, 1) + l] = served[k];
    });
    Pass pass{call.links(shape.slots), lanes};
    pass.pull = call.in(2), pass.rate = call.in(3), pass.stock_after = call.in(4), pass.held_after = call.in(5);
    pass.least_after = call.in(7), pass.bound_after = call.in(9), pass.at_supplier = there;
    pass.g_stock = call.out(0), pass.wishes = wishes, pass.g_rate = call.out(3), pass.g_coefficient = nullptr;
    walk(shape, lanes, pass);
    each_firm(shape, lanes, [=](Index k, Index, Index) { g_pull[k] += wishes[k]; });
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
  if (stock.size() == 1)
    What::run(call, shape, slack, Lanes<1>{1, 0, 1});
  else
    What::run(call, shape, slack, Lanes<kLanes>{shape.batch, 0, 0});
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
