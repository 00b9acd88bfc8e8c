// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_REACTORS_REACTOR_POOL_H_
#define KINSOCK_SERVER_REACTORS_REACTOR_POOL_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/duration_histogram.h"
#include "base/event_loop.h"
#include "device/device_spec.h"
#include "device/reactor.h"
#include "router/flow_collector.h"
#include "router/flow_durations.h"
#include "router/flow_info.h"
#include "router/network.h"
#include "router/pair_table.h"
#include "router/policy_set.h"

namespace kinsock {

class VsockDevice;

// The data plane as the control plane sees it: a fixed number of reactor threads, and devices placed on them.
// All methods are called on the thread of `main`, and all callbacks run there.
class ReactorPool {
 public:
  // Called whenever the status of a device changes; not after RemoveDevice() completed.
  using StatusCallback = std::function<void(DeviceId, const DeviceStatus&)>;

  struct Options {
    size_t reactors = 1;                       // threads, >= 1
    std::chrono::microseconds max_spin{0};     // EventLoop::set_max_spin
    const Clock* clock = &Clock::Monotonic();  // of the reactors; outlives the pool
    // Each reactor's, at most once a second, on the main thread; may be null.
    std::function<void(const CollectedFlows&)> on_denials;
    std::function<void(const CollectedFlows&)> on_logged;
    // A reactor that is to stop has not for kStopPatience; must not return. Null: it is waited for.
    std::function<void(size_t reactor)> on_stuck;
  };

  // How long all reactors together may take to stop: a thousand guests are gone in a tenth of it, and a service manager
  // does not wait for ever.
  static constexpr std::chrono::seconds kStopPatience{2};

  // Starts the threads. `main` outlives the pool.
  ReactorPool(EventLoop& main, const Options& options, StatusCallback on_status);

  // Stops all devices and joins the threads. Guests and host programs see their connections closed.
  ~ReactorPool();

  // Places a device on the reactor that has the fewest, and makes its CID known to all. `done`: the device
  // serves its sockets and every reactor routes to it. `spec.id` is not in use, nor is `spec.cid` in `spec.network`.
  void AddDevice(DeviceSpec spec, absl::AnyInvocable<void(absl::Status)> done);

  // Withdraws the CID from all reactors, resets the peers of its connections, closes its sockets and its
  // front-end session, and unmaps the guest's memory. `done`: nothing of the device is left.
  void RemoveDevice(DeviceId id, absl::AnyInvocable<void()> done);

  // Gives a served device another CID, which nobody in its network has; its connections end (VsockDevice::ChangeCid).
  // `done`: it has it, and every reactor routes to it; the former one leads nowhere, and may be given to another.
  // Precondition: neither this nor RemoveDevice() is under way for it.
  void ChangeCid(DeviceId id, Cid cid, absl::AnyInvocable<void()> done);

  // Has policies see other groups and labels in a served device. `done`: every reactor goes by them when a connection
  // is asked for; those that exist stay.
  void SetIdentity(DeviceId id, std::vector<std::string> groups, std::map<std::string, std::string> labels,
                   absl::AnyInvocable<void()> done);

  // Has a network go by these policies; one that was never told goes by shared groups. `done`: every reactor does, and
  // the connections that the change revokes (PolicyChange::Revokes) are reset. They are looked for if a policy that
  // comes, goes or stays says so.
  void SetPolicies(NetworkId network, std::shared_ptr<const PolicySet> policies, absl::AnyInvocable<void()> done);

  // Forgets a network that has no device.
  void RemoveNetwork(NetworkId network);

  // Has the device do something, on its reactor. `done`: it has, and its status has been reported; or it is gone.
  void Tell(DeviceId id, std::function<void(VsockDevice&)> command, absl::AnyInvocable<void()> done);

  // Runs `task` on the thread of a reactor, which are numbered from 0. It must not block.
  void Post(size_t reactor, EventLoop::Task task);

  // A snapshot of all connections, each once, in no order. kWithClosed: also those that ended lately (FlowJournal).
  enum class Flows : uint8_t { kOpen, kWithClosed };
  void ListFlows(Flows which, absl::AnyInvocable<void(std::vector<FlowInfo>)> done);

  // Resets the connection `id` (FlowInfo::id) for both its ends. `done`: what it is now, closed for this reason or an
  // earlier one; nothing if it is not known.
  void ResetFlow(uint64_t id, CloseReason reason, absl::AnyInvocable<void(std::optional<FlowInfo>)> done);

  // The sums of all connections, by pair; `other`: of those pairs that are not told apart (PairTable).
  struct Pairs {
    absl::flat_hash_map<PairKey, PairTotals> pairs;
    PairTotals other;
  };
  void SumPairs(absl::AnyInvocable<void(Pairs)> done);

  // How long connections waited for their answer, and lasted, by FlowWay; of all reactors, none of which is asked.
  struct Durations {
    std::array<DurationCounts, kFlowWays.size()> connects;
    std::array<DurationCounts, kFlowWays.size()> connections;
  };
  Durations durations() const;

  // Connections that ended and were forgotten before their time, by all reactors.
  uint64_t forgotten_flows() const;
  // Pairs that are no longer told apart, in all reactors (PairTable::merged).
  uint64_t merged_pairs() const;

  size_t size() const;  // number of reactors

  // What the reactors do; none of them is asked.
  struct ReactorInfo {
    size_t devices = 0;
    ReactorActivity activity;
  };
  std::vector<ReactorInfo> Describe() const;
  // Ends waits in a system call, which only a hostile front-end brings about, that have lasted for `too_long`. To be
  // called again and again.
  void BreakWaits(std::chrono::nanoseconds too_long);
  // On which one a device is placed; nothing if it is not, or no longer.
  std::optional<size_t> ReactorOf(DeviceId id) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_REACTORS_REACTOR_POOL_H_
