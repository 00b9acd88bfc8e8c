// SPDX-License-Identifier: Apache-2.0
#include "device/flow_walk.h"

#include <utility>

namespace kinsock {

FlowWalk::FlowWalk(std::vector<DeviceId> devices, FlowJournal& journal, Done done)
    : devices_(std::move(devices)), journal_(journal), done_(std::move(done)) {
  journal_.Note(ended_);
}

FlowWalk::~FlowWalk() { journal_.StopNoting(ended_); }

bool FlowWalk::Step(const Find& find) {
  for (size_t left = kStep; left > 0; --left) {
    while (flows_.empty()) {
      if (devices_.empty()) return false;
      current_ = devices_.back();
      devices_.pop_back();
      if (const VsockDevice* device = find(current_); device != nullptr) flows_ = device->Flows();
    }
    const VsockDevice* const device = find(current_);
    if (device != nullptr) described_.push_back(device->Describe(*flows_.back()));
    flows_.pop_back();
  }
  return true;
}

void FlowWalk::Finish() {
  journal_.Take();
  std::erase_if(described_, [this](const FlowInfo& flow) {
    return flow.state == FlowInfo::State::kClosed || ended_.contains(flow.id);
  });
  done_(std::move(described_));
}

}  // namespace kinsock
