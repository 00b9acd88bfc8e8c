// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/explain/explain_steps.h"
#include "cli/explain/host_lines.h"
#include "cli/explain/refusal.h"
#include "cli/text/shell_word.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

using End = ExplainFacts::End;

// VMADDR_CID_LOCAL.
constexpr char kLoopbackCid[] = "1";

constexpr char kReloadDriver[] = "rmmod vmw_vsock_virtio_transport && modprobe vmw_vsock_virtio_transport";

std::string LastPart(const std::string& name) { return name.substr(name.rfind('/') + 1); }

std::string GroupsOf(const v1::Vm& vm, const char* between) {
  return vm.spec().groups().empty() ? "default" : absl::StrJoin(vm.spec().groups(), between);
}

std::string NetFlag(const std::string& network) {
  return LastPart(network) == "default" ? "" : absl::StrCat(" --net ", LastPart(network));
}

const v1::Condition* Holding(const v1::Vm& vm, const char* type) {
  for (const v1::Condition& condition : vm.status().conditions()) {
    if (condition.type() == type && condition.status() == v1::Condition::TRUE) return &condition;
  }
  return nullptr;
}

// One end that there is no VM for.
class MissingEnd {
 public:
  MissingEnd(const ExplainFacts& facts, const End& end, ExplainSteps& steps)
      : facts_(facts), end_(end), steps_(steps), by_number_(&end == &facts.target && IsNumber(end.said)) {}

  bool Explain() { return by_number_ ? ExplainCid() : ExplainName(); }

 private:
  static bool IsNumber(const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  }

  bool Bad(const char* reason, std::string cause, ExitCode code = kExitNotFound) {
    return steps_.Bad(Step::NAME, reason, std::move(cause), code);
  }

  // The same question about `name` in place of this end.
  std::string ExplainLine(const std::string& name) const {
    const bool source = &end_ == &facts_.source;
    return absl::StrCat("kinsockctl explain ", source ? name : facts_.source.Name(), " ",
                        source ? facts_.target.Name() : name, ":", facts_.port);
  }
  // In whole seconds.
  std::string RestsUntil() const {
    google::protobuf::Timestamp end = end_.lease->quarantine_until();
    end.set_nanos(0);
    return google::protobuf::util::TimeUtil::ToString(end);
  }
  std::string CreateLine(const std::string& vm) const {
    return absl::StrCat("kinsockctl vm create ", vm, " --cid ", end_.lease->cid(), NetFlag(end_.lease->network()));
  }

  bool ExplainName() {
    const std::string missing = absl::StrCat("there is no VM ", ShellWord(end_.Name()));
    if (end_.lease.has_value() && end_.lease->state() == v1::CidLease::QUARANTINED) {
      Bad("VM_DELETED", absl::StrCat(missing, " any more: it was deleted, and its CID ", end_.lease->cid(), " of ",
                                     end_.lease->network(), " rests until ", RestsUntil()));
      steps_.Next(CreateLine(end_.Name()));
      return false;
    }
    if (end_.similar.empty()) {
      Bad("VM_NOT_FOUND", missing);
      steps_.Next("kinsockctl vm list");
      return false;
    }
    Bad("VM_NOT_FOUND", absl::StrCat(missing, "; did you mean ", end_.similar, "?"));
    steps_.Next(ExplainLine(end_.similar));
    return false;
  }

  bool ExplainCid() {
    const std::string nobody = absl::StrCat("nobody in ", NetworkOf(*facts_.source.vm), " has CID ", end_.said);
    if (end_.said == kLoopbackCid) return ExplainLoopback();
    if (end_.moved.has_value()) {
      const std::string holder = ShortVmName(end_.moved->name());
      Bad("CID_MOVED", absl::StrCat(nobody, " now: ", holder, " had it, and was given ", end_.moved->status().cid()));
      steps_.Next(ExplainLine(holder));
      return false;
    }
    if (end_.lease.has_value()) return ExplainLease(nobody);
    if (end_.other_network.has_value()) {
      const std::string holder = ShortVmName(end_.other_network->name());
      Bad("OTHER_NETWORK",
          absl::StrCat(nobody, "; ", holder, " in ", NetworkOf(*end_.other_network),
                       " has, which cannot be addressed from there"),
          kExitConflict);
      steps_.Next(ExplainLine(holder));
      return false;
    }
    Bad("CID_NOT_FOUND", nobody);
    steps_.Next("kinsockctl vm list");
    return false;
  }

  bool ExplainLoopback() {
    Bad("LOOPBACK",
        absl::StrCat("CID 1 is whoever calls it: the kernel of ", facts_.source.Name(),
                     " answers, and nothing of it comes here"),
        kExitConflict);
    steps_.NextIn(*facts_.source.vm, "modprobe vsock_loopback");
    return false;
  }

  bool ExplainLease(const std::string& nobody) {
    const std::string& holder = end_.lease->holder();
    const bool of_vm = absl::StartsWith(holder, "vms/");
    if (end_.lease->state() == v1::CidLease::QUARANTINED) {
      Bad("CID_QUARANTINED",
          absl::StrCat(nobody, " now: ", ShortVmName(holder), " had it and was deleted; it rests until ", RestsUntil(),
                       ", and only a VM of that name gets it before"));
    } else {
      Bad("CID_RESERVED",
          absl::StrCat(nobody, " yet: it is reserved",
                       holder.empty() ? std::string() : absl::StrCat(" for ", ShellWord(ShortVmName(holder)))));
    }
    steps_.Next(of_vm ? CreateLine(ShortVmName(holder))
                      : absl::StrCat("kinsockctl cid list", NetFlag(end_.lease->network())));
    return false;
  }

  const ExplainFacts& facts_;
  const End& end_;
  ExplainSteps& steps_;
  const bool by_number_;
};

class Way {
 public:
  Way(const ExplainFacts& facts, ExplainSteps& steps)
      : facts_(facts), steps_(steps), source_(facts.source.Name()), target_(facts.target.Name()) {}

  bool Walk() {
    // What is so however the guests are comes first: who has booted them would only then learn of it.
    return Ends() && Networks() && HostSide() && Policy() && Device(facts_.source.vm) && Device(facts_.target.vm);
  }

 private:
  bool Ends() {
    for (const End* end : {&facts_.source, &facts_.target}) {
      if (end->host) continue;
      if (!end->vm.has_value()) return MissingEnd(facts_, *end, steps_).Explain();
      steps_.Good(Step::NAME,
                  absl::StrCat(end->Name(), " has CID ", end->vm->status().cid(), " in ", NetworkOf(*end->vm)));
    }
    if (!facts_.source.vm.has_value() || !facts_.target.vm.has_value()) return true;
    if (facts_.source.vm->name() != facts_.target.vm->name()) return true;
    steps_.NextIn(*facts_.source.vm, "modprobe vsock_loopback");
    return steps_.Bad(Step::NAME, "LOOPBACK",
                      "a guest that connects to its own CID talks to itself: its kernel answers, and nothing of it "
                      "comes here",
                      kExitConflict);
  }

  bool Networks() {
    if (!facts_.source.vm.has_value() || !facts_.target.vm.has_value()) return true;
    const std::string from = NetworkOf(*facts_.source.vm), to = NetworkOf(*facts_.target.vm);
    if (from == to) return true;
    // A VM stays in the network that it was made in.
    const std::string& uds = facts_.target.vm->spec().uds().path();
    steps_.Next(absl::StrCat("kinsockctl vm delete ", target_));
    steps_.Next(absl::StrCat("kinsockctl vm create ", target_, " --net ", LastPart(from),
                             uds.empty() ? "" : " --uds-path ", uds.empty() ? "" : ShellWord(uds)));
    return steps_.Bad(Step::NETWORK, "OTHER_NETWORK",
                      absl::StrCat("they are in different networks: nobody in ", from, " has an address in ", to),
                      kExitConflict);
  }

  bool Device(const std::optional<v1::Vm>& vm) {
    if (!vm.has_value()) return true;
    const std::string name = ShortVmName(vm->name());
    const v1::Condition* const degraded = Holding(*vm, "Degraded");
    const std::optional<Obstacle> obstacle = ObstacleOf(*vm);
    if (obstacle.has_value()) {
      steps_.Next(obstacle->next);
      return steps_.Bad(
          Step::DEVICE, obstacle->reason,
          absl::StrCat(name, ": ", obstacle->cause, degraded == nullptr ? "" : absl::StrCat("; ", degraded->message())),
          kExitConflict);
    }
    if (degraded != nullptr && (degraded->reason() == "FormerCid" || degraded->reason() == "RingsBroken")) {
      steps_.NextIn(*vm, kReloadDriver);
      return steps_.Bad(Step::DEVICE, degraded->reason() == "FormerCid" ? "FORMER_CID" : "RINGS_BROKEN",
                        absl::StrCat(name, ": ", degraded->message()), kExitConflict);
    }
    steps_.Good(Step::DEVICE, absl::StrCat(name, " is ACTIVE: its VMM is connected and its driver runs"));
    if (degraded != nullptr) steps_.Unknown(Step::DEVICE, absl::StrCat(name, ": ", degraded->message()));
    return true;
  }

  // What is between a VM and the host.
  bool HostSide() {
    if (!facts_.source.host && !facts_.target.host) return true;
    if (facts_.forward.has_value()) return Forward(*facts_.forward);
    const v1::Vm& vm = facts_.source.host ? *facts_.target.vm : *facts_.source.vm;
    if (vm.spec().has_vsock_proxy()) return VsockProxy(vm);
    if (vm.status().uds_path().empty()) {
      return NoHostSide(
          vm, "was made without a socket for host programs (--uds-path), and no forward is there for that port");
    }
    return !facts_.source.host || HostSocket(vm);
  }

  // The host's own AF_VSOCK.
  bool VsockProxy(const v1::Vm& vm) {
    const std::string name = ShortVmName(vm.name());
    if (facts_.target.host) {
      return steps_.Good(Step::HOST_SIDE,
                         absl::StrCat(name, "'s calls to the host go to CID ", vm.spec().vsock_proxy().forward_cid(),
                                      " of the host's AF_VSOCK"));
    }
    if (ListensOnVsock(vm, facts_.port)) {
      return steps_.Good(Step::HOST_SIDE,
                         absl::StrCat("port ", facts_.port, " of the host's AF_VSOCK stands for that of ", name));
    }
    const auto& ports = vm.spec().vsock_proxy().listen_ports();
    return NoHostSide(
        vm, absl::StrCat(
                "has the host's AF_VSOCK as its host side, where ",
                ports.empty() ? "no port stands" : absl::StrCat("of all ports ", absl::StrJoin(ports, ", "), " stand"),
                " for its own, and no forward is there for that port"));
  }

  // A forward is one, and needs no new VM.
  bool NoHostSide(const v1::Vm& vm, const std::string& why) {
    steps_.Next(ForwardLine(vm, facts_.port, facts_.source.host));
    return steps_.Bad(Step::HOST_SIDE, "NO_HOST_SIDE", absl::StrCat(ShortVmName(vm.name()), " ", why), kExitConflict);
  }

  bool HostSocket(const v1::Vm& vm) {
    using Socket = ExplainFacts::HostSocket;
    const std::string& path = vm.status().uds_path();
    switch (facts_.host_socket) {
      case Socket::kOpen:
        return steps_.Good(Step::HOST_SIDE, absl::StrCat("you may connect to ", path));
      case Socket::kForbidden:
        steps_.Next(absl::StrCat("sudo kinsockctl connect ", target_, " ", facts_.port));
        return steps_.Bad(
            Step::HOST_SIDE, "NO_PERMISSION",
            absl::StrCat("you may not connect to ", path,
                         facts_.host_socket_owner.empty() ? std::string(": you cannot pass its directory")
                                                          : absl::StrCat(": it belongs to ", facts_.host_socket_owner)),
            kExitDenied);
      case Socket::kGone:
        steps_.Next(absl::StrCat("kinsockctl vm delete --force ", target_));
        steps_.Next(absl::StrCat("kinsockctl vm create ", target_, " --cid ", vm.status().cid(), NetFlag(NetworkOf(vm)),
                                 " --uds-path ", ShellWord(path)));
        return steps_.Bad(Step::HOST_SIDE, "SOCKET_LOST",
                          absl::StrCat(path, " is not there: somebody has removed it, and it comes back with a new VM"),
                          kExitConflict);
      case Socket::kElsewhere:
        return steps_.Unknown(Step::HOST_SIDE, absl::StrCat("whether a program may connect to ", path,
                                                            " can only be seen on the daemon's machine"));
      case Socket::kNotAsked:
        break;
    }
    return true;
  }

  bool Forward(const v1::Forward& forward) {
    if (!forward.status().error().empty()) {
      steps_.Next(absl::StrCat("kinsockctl forward get ", LastPart(forward.name())));
      return steps_.Bad(Step::HOST_SIDE, "FORWARD_NOT_SERVED",
                        absl::StrCat(forward.name(), " is not served: ", forward.status().error()), kExitConflict);
    }
    return steps_.Good(Step::HOST_SIDE,
                       forward.direction() == v1::Forward::TO_GUEST
                           ? absl::StrCat(forward.name(), " takes who connects to ", forward.listen(), " there")
                           : absl::StrCat(forward.name(), " takes it to ", forward.target()));
  }

  bool Policy() {
    if (!facts_.policy.has_value()) return true;
    const v1::TestPolicyResponse& policy = *facts_.policy;
    const std::string& network = policy.network();
    if (!policy.policy().empty()) {
      if (policy.allowed()) return steps_.Good(Step::POLICY, absl::StrCat("allowed by ", policy.policy()));
      steps_.Next(absl::StrCat("kinsockctl policy get ", LastPart(policy.policy()), NetFlag(network)));
      return steps_.Bad(Step::POLICY, "POLICY_DENIED", absl::StrCat("denied by ", policy.policy()), kExitDenied);
    }
    const std::string by =
        absl::StrCat("the default of ", network, ", ", v1::Network::DefaultPolicy_Name(policy.default_policy()));
    if (policy.allowed()) return steps_.Good(Step::POLICY, absl::StrCat("allowed by ", by));
    if (policy.default_policy() != v1::Network::DENY && facts_.source.vm.has_value() && facts_.target.vm.has_value()) {
      const std::string from = GroupsOf(*facts_.source.vm, "+"), to = GroupsOf(*facts_.target.vm, "+");
      steps_.Next(absl::StrCat(
          "kinsockctl vm set ", source_, " --groups ",
          ShellWord(absl::StrCat(GroupsOf(*facts_.source.vm, ","), ",", GroupsOf(*facts_.target.vm, ",")))));
      return steps_.Bad(Step::POLICY, "NO_SHARED_GROUP",
                        absl::StrCat("denied by ", by, ": ", source_, " is in ", from, ", ", target_, " in ", to),
                        kExitDenied);
    }
    steps_.Next(absl::StrCat("kinsockctl policy create ", source_, "-to-", target_, NetFlag(network),
                             " --allow --from ", source_, " --to ", target_, " --ports ", facts_.port));
    return steps_.Bad(Step::POLICY, "POLICY_DENIED", absl::StrCat("denied by ", by), kExitDenied);
  }

  const ExplainFacts& facts_;
  ExplainSteps& steps_;
  const std::string source_;
  const std::string target_;
};

}  // namespace

bool ExplainWay(const ExplainFacts& facts, ExplainSteps& steps) { return Way(facts, steps).Walk(); }

}  // namespace kinsock
