// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_ROUTER_FAKE_PORT_H_
#define KINSOCK_TESTS_ROUTER_FAKE_PORT_H_

#include <memory>
#include <vector>

#include "router/flow.h"
#include "router/port.h"

namespace kinsock {

// An endpoint that takes everything and remembers which flows it was told to reset or asked about.
class FakePort final : public Port {
 public:
  explicit FakePort(Cid cid) : Port(/*device=*/cid, cid, /*max_buffered_bytes=*/1000) { set_takes_seqpacket(true); }

  Progress Deliver(Lane& lane, uint32_t) override {
    while (!lane.waiting.empty()) {
      Packet& packet = lane.waiting.PopFront();
      packet.outcome = Packet::Outcome::kDelivered;
      lane.done.PushBack(packet);
    }
    return Progress::kDrained;
  }
  void AskForCredit(const std::shared_ptr<Flow>& flow) override { asked.push_back(flow); }
  void ResetFlow(const std::shared_ptr<Flow>& flow) override { reset.push_back(flow); }

  std::vector<std::shared_ptr<Flow>> asked;
  std::vector<std::shared_ptr<Flow>> reset;
};

}  // namespace kinsock

#endif  // KINSOCK_TESTS_ROUTER_FAKE_PORT_H_
