// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/reactor_pool.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "device/guest_fault.h"
#include "device/reactor.h"
#include "device/vsock_device.h"
#include "router/policy_change.h"
#include "server/reactors/policy_book.h"

namespace kinsock {
namespace {

// Runs `done` on the main thread when as many parts as there are reactors have been reported to it.
class Countdown {
 public:
  Countdown(size_t parts, EventLoop::Task done) : left_(parts), done_(std::move(done)) {}
  // Main thread.
  void Part() {
    if (--left_ == 0) done_();
  }

 private:
  size_t left_;
  EventLoop::Task done_;
};

}  // namespace

struct ReactorPool::State {
  struct Placement {
    size_t reactor;
    NetworkId network;
    Cid cid;
  };

  State(EventLoop& main_loop, StatusCallback callback) : main(main_loop), on_status(std::move(callback)) {}

  // Posts `task` to every reactor and runs `done` on the main thread when all have run it.
  void PostToAll(std::function<void(Reactor&)> task, EventLoop::Task done) {
    auto countdown = std::make_shared<Countdown>(reactors.size(), std::move(done));
    for (const std::unique_ptr<Reactor>& reactor : reactors) {
      reactor->Post([this, task, countdown, reactor = reactor.get()] {
        task(*reactor);
        PostToMain([countdown] { countdown->Part(); });
      });
    }
  }

  // From a reactor: what arrives after the pool has gone is dropped.
  void PostToMain(EventLoop::Task task) {
    main.Post([alive = alive, task = std::move(task)]() mutable {
      if (*alive) task();
    });
  }

  // What a reactor may call with flows for `tell`, which runs on the main thread; null if `tell` is.
  std::function<void(CollectedFlows)> OnMain(std::function<void(const CollectedFlows&)> tell) {
    if (tell == nullptr) return nullptr;
    return [this, tell = std::move(tell)](CollectedFlows flows) {
      PostToMain([tell, flows = std::move(flows)] { tell(flows); });
    };
  }

  EventLoop& main;
  StatusCallback on_status;
  std::function<void(size_t)> on_stuck;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // main thread
  absl::flat_hash_map<DeviceId, Placement> devices;
  PolicyBook policies;
  std::vector<size_t> load;  // devices of each reactor
  std::vector<std::unique_ptr<Reactor>> reactors;
};

ReactorPool::ReactorPool(EventLoop& main, const Options& options, StatusCallback on_status)
    : state_(std::make_unique<State>(main, std::move(on_status))) {
  GuestFaultGuard::Install();
  State* state = state_.get();
  state->on_stuck = options.on_stuck;
  for (size_t i = 0; i < options.reactors; ++i) {
    Reactor::Callbacks callbacks;
    callbacks.on_status = [state](DeviceId id, const DeviceStatus& status) {
      state->PostToMain([state, id, status] {
        if (state->devices.contains(id)) state->on_status(id, status);
      });
    };
    // The mapping is released on the main thread, pool or no pool.
    callbacks.discard = [state](std::shared_ptr<const GuestMemory> memory) {
      state->main.Post([memory = std::move(memory)]() mutable { memory.reset(); });
    };
    callbacks.on_denials = state->OnMain(options.on_denials);
    callbacks.on_logged = state->OnMain(options.on_logged);
    state->reactors.push_back(
        std::make_unique<Reactor>(static_cast<uint16_t>(i), *options.clock, options.max_spin, std::move(callbacks)));
    state->load.push_back(0);
  }
}

ReactorPool::~ReactorPool() {
  *state_->alive = false;
  for (const std::unique_ptr<Reactor>& reactor : state_->reactors) reactor->BeginStop();
  constexpr std::chrono::milliseconds kLook{100};
  const MonotonicTime deadline = Clock::Monotonic().Now() + kStopPatience;
  for (size_t i = 0; i < state_->reactors.size(); ++i) {
    while (!state_->reactors[i]->AwaitStop(kLook)) {
      state_->reactors[i]->BreakWait(kLook);
      if (state_->on_stuck != nullptr && Clock::Monotonic().Now() > deadline) state_->on_stuck(i);
    }
  }
  state_->reactors.clear();
}

size_t ReactorPool::size() const { return state_->reactors.size(); }

std::vector<ReactorPool::ReactorInfo> ReactorPool::Describe() const {
  std::vector<ReactorInfo> infos;
  for (size_t i = 0; i < state_->reactors.size(); ++i) {
    infos.push_back({.devices = state_->load[i], .activity = state_->reactors[i]->activity()});
  }
  return infos;
}

void ReactorPool::BreakWaits(std::chrono::nanoseconds too_long) {
  for (const std::unique_ptr<Reactor>& reactor : state_->reactors) reactor->BreakWait(too_long);
}

std::optional<size_t> ReactorPool::ReactorOf(DeviceId id) const {
  const auto it = state_->devices.find(id);
  return it != state_->devices.end() ? std::make_optional(it->second.reactor) : std::nullopt;
}

void ReactorPool::AddDevice(DeviceSpec spec, absl::AnyInvocable<void(absl::Status)> done) {
  State* state = state_.get();
  const size_t chosen =
      static_cast<size_t>(std::min_element(state->load.begin(), state->load.end()) - state->load.begin());
  const DeviceId id = spec.id;
  const NetworkId network = spec.network;
  std::shared_ptr<const PolicySubject> subject =
      state->policies.Add(id, network,
                          {.vm = spec.name,
                           .cid = spec.cid,
                           .groups = std::make_shared<const GroupSet>(std::move(spec.groups)),
                           .labels = std::move(spec.labels)});
  state->devices[id] = {.reactor = chosen, .network = network, .cid = spec.cid};
  ++state->load[chosen];

  Reactor* reactor = state->reactors[chosen].get();
  reactor->Post([state, reactor, id, network, chosen, spec = std::move(spec), subject = std::move(subject),
                 done = std::move(done)]() mutable {
    absl::StatusOr<std::shared_ptr<Port>> port = reactor->AddDevice(std::move(spec));
    // A guest may be faster than the message to all reactors: its own knows it at once.
    if (port.ok()) reactor->Routes(network).Add(*port, std::move(subject));
    state->PostToMain([state, id, network, chosen, port = std::move(port), done = std::move(done)]() mutable {
      if (!port.ok()) {
        state->devices.erase(id);
        state->policies.Remove(id);
        --state->load[chosen];
        return done(port.status());
      }
      // As policies see it now, which may have changed meanwhile: its own reactor has been told of that, too.
      std::shared_ptr<const PolicySubject> now = state->policies.Find(id);
      state->PostToAll([network, port = *port, now](Reactor& each) { each.Routes(network).Add(port, now); },
                       [done = std::move(done)]() mutable { done(absl::OkStatus()); });
    });
  });
}

void ReactorPool::RemoveDevice(DeviceId id, absl::AnyInvocable<void()> done) {
  State* state = state_.get();
  const auto it = state->devices.find(id);
  if (it == state->devices.end()) return done();
  const State::Placement placement = it->second;
  state->devices.erase(it);
  state->policies.Remove(id);
  --state->load[placement.reactor];

  // First nobody finds it any more, then it goes.
  state->PostToAll([placement](Reactor& each) { each.Routes(placement.network).Remove(placement.cid); },
                   [state, id, placement, done = std::move(done)]() mutable {
                     Reactor* reactor = state->reactors[placement.reactor].get();
                     reactor->Post([state, reactor, id, done = std::move(done)]() mutable {
                       reactor->RemoveDevice(id);
                       state->PostToMain(std::move(done));
                     });
                   });
}

void ReactorPool::ChangeCid(DeviceId id, Cid cid, absl::AnyInvocable<void()> done) {
  State* state = state_.get();
  const auto it = state->devices.find(id);
  if (it == state->devices.end()) return done();
  const State::Placement placement = it->second;
  Reactor* own = state->reactors[placement.reactor].get();

  // As when one goes and another comes: first nobody else finds the former, then it becomes the new one and its own
  // reactor knows that at once, then the others do. A packet for either CID finds this device, or nobody.
  auto announce = [state, id, network = placement.network, done = std::move(done)](std::shared_ptr<Port> port) mutable {
    // As policies see it now, which may have changed meanwhile: its own reactor has been told of that, too.
    std::shared_ptr<const PolicySubject> now = state->policies.Find(id);
    state->PostToAll([network, port, now](Reactor& each) { each.Routes(network).Add(port, now); }, std::move(done));
  };
  state->PostToAll(
      [own, placement](Reactor& each) {
        if (&each != own) each.Routes(placement.network).Remove(placement.cid);
      },
      [state, own, id, cid, placement, announce = std::move(announce)]() mutable {
        // Only now: a change of policies that comes meanwhile is about the routes that there are.
        state->devices.at(id).cid = cid;
        std::shared_ptr<const PolicySubject> subject = state->policies.SetCid(id, cid);
        own->Post(
            [state, own, id, cid, placement, subject = std::move(subject), announce = std::move(announce)]() mutable {
              RouteTable& routes = own->Routes(placement.network);
              routes.Remove(placement.cid);
              std::shared_ptr<Port> port = own->Find(id)->ChangeCid(cid);
              routes.Add(port, std::move(subject));
              state->PostToMain(
                  [port = std::move(port), announce = std::move(announce)]() mutable { announce(std::move(port)); });
            });
      });
}

void ReactorPool::SetIdentity(DeviceId id, std::vector<std::string> groups, std::map<std::string, std::string> labels,
                              absl::AnyInvocable<void()> done) {
  const auto it = state_->devices.find(id);
  if (it == state_->devices.end()) return done();
  std::shared_ptr<const PolicySubject> subject =
      state_->policies.SetIdentity(id, std::make_shared<const GroupSet>(std::move(groups)), std::move(labels));
  state_->PostToAll([placement = it->second, subject = std::move(subject)](
                        Reactor& each) { each.Routes(placement.network).SetSubject(placement.cid, subject); },
                    std::move(done));
}

void ReactorPool::SetPolicies(NetworkId network, std::shared_ptr<const PolicySet> policies,
                              absl::AnyInvocable<void()> done) {
  State* state = state_.get();
  std::shared_ptr<const PolicyChange> change = state->policies.SetPolicies(network, std::move(policies));
  // A device that is not there yet when its reactor looks for it has no connection from before.
  std::vector<DeviceId> to_sweep;
  if (change->ResetsExisting()) to_sweep = state->policies.DevicesOf(network);
  auto countdown = std::make_shared<Countdown>(state->reactors.size() + to_sweep.size(), std::move(done));
  // The reference comes back with the answer: what is no longer in force may take long to destroy, and that is done
  // here.
  const auto answer = [state, countdown](std::shared_ptr<const PolicyChange> back) {
    state->PostToMain([countdown, back = std::move(back)] { countdown->Part(); });
  };
  for (const std::unique_ptr<Reactor>& each : state->reactors) {
    each->Post([reactor = each.get(), network, change, answer]() mutable {
      reactor->Routes(network).SetPolicies(*change);
      answer(std::move(change));
    });
  }
  for (const DeviceId id : to_sweep) {
    Reactor* reactor = state->reactors[state->devices.at(id).reactor].get();
    reactor->Post([reactor, id, change, answer]() mutable {
      if (VsockDevice* device = reactor->Find(id)) device->ResetRevoked(*change);
      answer(std::move(change));
    });
  }
}

void ReactorPool::RemoveNetwork(NetworkId network) {
  state_->policies.RemoveNetwork(network);
  state_->PostToAll([network](Reactor& each) { each.RemoveNetwork(network); }, [] {});
}

void ReactorPool::Tell(DeviceId id, std::function<void(VsockDevice&)> command, absl::AnyInvocable<void()> done) {
  State* state = state_.get();
  const auto it = state->devices.find(id);
  if (it == state->devices.end()) return done();
  Reactor* reactor = state->reactors[it->second.reactor].get();
  reactor->Post([state, reactor, id, command = std::move(command), done = std::move(done)]() mutable {
    if (VsockDevice* device = reactor->Find(id)) command(*device);
    state->PostToMain(std::move(done));
  });
}

void ReactorPool::Post(size_t reactor, EventLoop::Task task) { state_->reactors[reactor]->Post(std::move(task)); }

void ReactorPool::ListFlows(Flows which, absl::AnyInvocable<void(std::vector<FlowInfo>)> done) {
  State* state = state_.get();
  // Each reactor fills a part of its own.
  auto parts = std::make_shared<std::vector<std::vector<FlowInfo>>>(state->reactors.size());
  auto countdown = std::make_shared<Countdown>(state->reactors.size(), [parts, done = std::move(done)]() mutable {
    std::vector<FlowInfo> flows;
    for (std::vector<FlowInfo>& part : *parts) flows.insert(flows.end(), part.begin(), part.end());
    done(std::move(flows));
  });
  for (size_t i = 0; i < state->reactors.size(); ++i) {
    Reactor* reactor = state->reactors[i].get();
    reactor->Post([state, reactor, which, parts, countdown, i] {
      reactor->DescribeFlows([state, reactor, which, parts, countdown, i](std::vector<FlowInfo> open) {
        if (which == Flows::kWithClosed) reactor->journal().Describe(open);
        (*parts)[i] = std::move(open);
        state->PostToMain([countdown] { countdown->Part(); });
      });
    });
  }
}

void ReactorPool::SumPairs(absl::AnyInvocable<void(Pairs)> done) {
  struct Part {
    std::vector<PairInfo> ended;
    PairTotals other;
    std::vector<FlowInfo> open;
  };
  State* state = state_.get();
  auto parts = std::make_shared<std::vector<Part>>(state->reactors.size());
  auto countdown = std::make_shared<Countdown>(state->reactors.size(), [parts, done = std::move(done)]() mutable {
    Pairs sums;
    for (const Part& part : *parts) {
      for (const PairInfo& pair : part.ended) sums.pairs[pair.key] += pair.totals;
      for (const FlowInfo& flow : part.open) sums.pairs[PairKey::Of(flow)].Add(flow);
      sums.other += part.other;
    }
    done(std::move(sums));
  });
  for (size_t i = 0; i < state->reactors.size(); ++i) {
    Reactor* reactor = state->reactors[i].get();
    reactor->Post([state, reactor, parts, countdown, i] {
      reactor->DescribeFlows([state, reactor, parts, countdown, i](std::vector<FlowInfo> open) {
        Part& part = (*parts)[i];
        part.open = std::move(open);
        reactor->journal().pairs().Describe(part.ended);
        part.other = reactor->journal().pairs().other();
        state->PostToMain([countdown] { countdown->Part(); });
      });
    });
  }
}

void ReactorPool::ResetFlow(uint64_t id, CloseReason reason, absl::AnyInvocable<void(std::optional<FlowInfo>)> done) {
  State* state = state_.get();
  const size_t index = FlowJournal::ReactorOf(id);
  if (index >= state->reactors.size()) return done(std::nullopt);
  Reactor* reactor = state->reactors[index].get();
  reactor->Post([state, reactor, id, reason, done = std::move(done)]() mutable {
    state->PostToMain(
        [flow = reactor->ResetFlow(id, reason), done = std::move(done)]() mutable { done(std::move(flow)); });
  });
}

ReactorPool::Durations ReactorPool::durations() const {
  Durations sums;
  for (const std::unique_ptr<Reactor>& reactor : state_->reactors) {
    const FlowDurations& each = reactor->journal().durations();
    for (size_t way = 0; way < kFlowWays.size(); ++way) {
      sums.connects[way] += each.connects[way].Read();
      sums.connections[way] += each.connections[way].Read();
    }
  }
  return sums;
}

uint64_t ReactorPool::forgotten_flows() const {
  uint64_t sum = 0;
  for (const std::unique_ptr<Reactor>& reactor : state_->reactors) sum += reactor->journal().forgotten();
  return sum;
}

uint64_t ReactorPool::merged_pairs() const {
  uint64_t sum = 0;
  for (const std::unique_ptr<Reactor>& reactor : state_->reactors) sum += reactor->journal().pairs().merged();
  return sum;
}

}  // namespace kinsock
