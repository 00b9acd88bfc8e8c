// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/flow_rates.h"

#include <utility>

namespace kinsock {
namespace {

uint64_t PerSecond(uint64_t now, uint64_t before, std::chrono::nanoseconds time) {
  if (time.count() <= 0 || now <= before) return 0;
  const double seconds = std::chrono::duration<double>(time).count();
  return static_cast<uint64_t>(static_cast<double>(now - before) / seconds);
}

}  // namespace

void FlowRates::Measure(std::vector<FlowInfo>& flows) {
  const MonotonicTime now = clock_.Now();
  if (!has_sampled_ || now - sampled_at_ >= kMinInterval) Look(flows, now);
  auto sample = samples_.begin();
  for (FlowInfo& flow : flows) {
    while (sample != samples_.end() && sample->id < flow.id) ++sample;
    const bool measured = sample != samples_.end() && sample->id == flow.id && flow.state != FlowInfo::State::kClosed;
    flow.to_target.bytes_per_second = measured ? sample->to_target_rate : 0;
    flow.to_initiator.bytes_per_second = measured ? sample->to_initiator_rate : 0;
  }
}

void FlowRates::Look(const std::vector<FlowInfo>& flows, MonotonicTime now) {
  interval_ = has_sampled_ && now - sampled_at_ <= kMaxInterval ? now - sampled_at_ : std::chrono::nanoseconds(0);
  std::vector<Sample> looked;
  unmeasured_ = 0;
  auto before = samples_.begin();
  for (const FlowInfo& flow : flows) {
    if (flow.state == FlowInfo::State::kClosed) continue;
    if (looked.size() == kMaxFlows) {
      ++unmeasured_;
      continue;
    }
    while (before != samples_.end() && before->id < flow.id) ++before;
    const Sample was = before != samples_.end() && before->id == flow.id ? *before : Sample();
    looked.push_back({flow.id, flow.to_target.bytes, flow.to_initiator.bytes,
                      PerSecond(flow.to_target.bytes, was.to_target, interval_),
                      PerSecond(flow.to_initiator.bytes, was.to_initiator, interval_)});
  }
  samples_ = std::move(looked);
  sampled_at_ = now;
  has_sampled_ = true;
}

}  // namespace kinsock
