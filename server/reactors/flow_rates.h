// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_REACTORS_FLOW_RATES_H_
#define KINSOCK_SERVER_REACTORS_FLOW_RATES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "router/flow_info.h"

namespace kinsock {

// How fast connections carry payload: by how much each has grown from one look at all of them to the next. Nobody looks
// for the sake of this alone, so that it costs nothing while nobody asks for connections.
//
// Thread: main.
class FlowRates {
 public:
  // Looks that follow each other faster are answered with the rates of the last: a shorter time says little.
  static constexpr std::chrono::seconds kMinInterval{1};
  // A mean over more is no rate of now. Reached: nothing is known until the next look.
  static constexpr std::chrono::seconds kMaxInterval{60};
  // Connections that are measured, 40 bytes each. Beyond: the newest have no rate, and are counted.
  static constexpr size_t kMaxFlows = 65536;

  // `clock` outlives this.
  explicit FlowRates(const Clock& clock) : clock_(clock) {}

  // Writes the rates into `flows`, which are all there are at this moment, by id, ascending. One that is new since the
  // last look has grown from nothing.
  void Measure(std::vector<FlowInfo>& flows);

  // The time over which the rates that were written last were measured. 0: they are not known, and 0.
  std::chrono::nanoseconds interval() const { return interval_; }
  // Open connections that had no place in the last look.
  uint64_t unmeasured() const { return unmeasured_; }

 private:
  struct Sample {
    uint64_t id = 0;
    uint64_t to_target = 0;  // bytes
    uint64_t to_initiator = 0;
    uint64_t to_target_rate = 0;  // bytes in a second
    uint64_t to_initiator_rate = 0;
  };

  void Look(const std::vector<FlowInfo>& flows, MonotonicTime now);

  const Clock& clock_;
  std::vector<Sample> samples_;  // by id, ascending
  MonotonicTime sampled_at_;     // meaningless before the first
  bool has_sampled_ = false;
  std::chrono::nanoseconds interval_{0};
  uint64_t unmeasured_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_REACTORS_FLOW_RATES_H_
