// SPDX-License-Identifier: Apache-2.0
//
// What policies cost: the switch's decision about a packet of a connection that exists, about the request for one, and
// the control plane's work when a VM comes or a policy changes; with none, one and ten thousand policies. Prints a row
// for each. The router alone, in one thread: docs/performance.md says what a packet costs beside.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router/policy_set.h"
#include "router/port.h"
#include "router/route_table.h"
#include "router/switch.h"

namespace kinsock {
namespace {

constexpr int kRounds = 7;  // the fastest counts: what disturbs only makes slower

// A port that is only decided about.
class NoPort final : public Port {
 public:
  explicit NoPort(Cid cid) : Port(cid, cid, 0) { set_takes_seqpacket(true); }
  Progress Deliver(Lane&, uint32_t) override { return Progress::kDrained; }
  void AskForCredit(const std::shared_ptr<Flow>&) override {}
  void ResetFlow(const std::shared_ptr<Flow>&) override {}
};

VmIdentity Vm(Cid cid) {
  return {.vm = "vms/vm-" + std::to_string(cid),
          .cid = cid,
          .groups = std::make_shared<const GroupSet>(std::vector<std::string>{"default"}),
          .labels = {{"tier", "t" + std::to_string(cid % 100)}, {"env", "prod"}}};
}

enum class Shape {
  kTiers,  // each policy is about one tier and another, and one port
  kWorst,  // each is about everybody and a port of its own that nobody asks for
};

std::vector<std::shared_ptr<const Policy>> Policies(int count, Shape shape) {
  std::vector<std::shared_ptr<const Policy>> policies;
  for (int i = 0; i < count; ++i) {
    auto policy = std::make_shared<Policy>();
    policy->name = "p" + std::to_string(i);
    policy->allow = true;
    const auto port = static_cast<uint32_t>(1000 + 3 * i);
    policy->ports = {{port, port}};
    if (shape == Shape::kTiers) {
      policy->from.labels = {{"tier", "t" + std::to_string(i % 100)}};
      policy->to.labels = {{"tier", "t" + std::to_string(i / 100 % 100)}};
    }
    policies.push_back(std::move(policy));
  }
  return policies;
}

template <typename Work>
double NanosecondsEach(int repetitions, Work work) {
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < repetitions; ++i) work(i);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    best = std::min(best, took.count() / repetitions);
  }
  return best;
}

void Measure(const char* shape_name, Shape shape, int count) {
  const auto set = std::make_shared<const PolicySet>(Policies(count, shape), DefaultPolicy::kSharedGroup);
  constexpr Cid kVms = 64;
  RouteTable routes;
  std::vector<std::shared_ptr<Port>> ports;
  for (Cid cid = 3; cid < 3 + kVms; ++cid) {
    ports.push_back(std::make_shared<NoPort>(cid));
    routes.Add(ports.back(), set->Identify(Vm(cid)));
  }
  const NoPort& sender = static_cast<const NoPort&>(*ports[0]);
  VsockHeader header;
  header.src_cid = 3;
  header.dst_cid = 4;
  uint64_t delivered = 0;
  const auto decide = [&](uint16_t op, Cid to, uint32_t port) {
    header.op = op;
    header.dst_cid = to;
    header.dst_port = port;
    delivered += DecideRoute(header, 0, sender, nullptr, routes).action == Decision::Action::kDeliver ? 1 : 0;
  };
  const double packet = NanosecondsEach(2'000'000, [&](int) { decide(VIRTIO_VSOCK_OP_RW, 4, 80); });
  const double connect = NanosecondsEach(200'000, [&](int i) {
    decide(VIRTIO_VSOCK_OP_REQUEST, 4 + static_cast<Cid>(i) % (kVms - 1), 1001 + 3 * (i % 10007));
  });
  uint64_t words = 0;
  const double identify =
      NanosecondsEach(200, [&](int i) { words += set->Identify(Vm(3 + static_cast<Cid>(i)))->from.words().size(); });
  const double compile = NanosecondsEach(
      1, [&](int) { words += PolicySet(Policies(count, shape), DefaultPolicy::kSharedGroup).policies().size(); });
  std::printf("%-7s %7d %10.1f %10.1f %12.2f %12.2f   %s\n", shape_name, count, packet, connect, identify / 1e3,
              compile / 1e6, delivered + words > 0 ? "" : "nothing was done");
}

}  // namespace
}  // namespace kinsock

int main() {
  std::printf("%-7s %7s %10s %10s %12s %12s\n", "shape", "rules", "packet ns", "connect ns", "new VM us", "new set ms");
  kinsock::Measure("none", kinsock::Shape::kTiers, 0);
  for (const int count : {1, 100, 10'000}) kinsock::Measure("tiers", kinsock::Shape::kTiers, count);
  for (const int count : {1, 100, 10'000}) kinsock::Measure("worst", kinsock::Shape::kWorst, count);
  return 0;
}
