// SPDX-License-Identifier: Apache-2.0
#include "cli/explain.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/refusal.h"
#include "cli/vm_view.h"

namespace kinsock {
namespace {

using Verdict = Explanation::Step::Verdict;

constexpr uint32_t kHostCid = 2;
// What `spec.network` says when it says nothing.
constexpr char kDefaultNetwork[] = "networks/default";

std::string NameOf(const std::optional<v1::Vm>& end) { return end.has_value() ? ShortVmName(end->name()) : "host"; }

std::string GroupsOf(const v1::Vm& vm) {
  return vm.spec().groups().empty() ? "default" : absl::StrJoin(vm.spec().groups(), "+");
}

// Goes on until something is bad; what lies behind that is of no use.
class Walk {
 public:
  explicit Walk(const ExplainFacts& facts)
      : facts_(facts), source_(NameOf(facts.source)), target_(NameOf(facts.target)) {}

  Explanation Run() {
    if (Ends() && Networks() && Device(facts_.source) && Device(facts_.target) && HostSide() && Policy() && Limits()) {
      Listener();
    }
    return std::move(explanation_);
  }

 private:
  bool Good(std::string text) {
    explanation_.steps.push_back({Verdict::kGood, std::move(text)});
    return true;
  }
  bool Unknown(std::string text) {
    explanation_.steps.push_back({Verdict::kUnknown, std::move(text)});
    return true;
  }
  bool Bad(std::string cause, std::string next, ExitCode code) {
    explanation_.steps.push_back({Verdict::kBad, cause});
    explanation_.cause = std::move(cause);
    explanation_.next = std::move(next);
    explanation_.code = code;
    return false;
  }

  bool Ends() {
    for (const std::optional<v1::Vm>* end : {&facts_.source, &facts_.target}) {
      if (!end->has_value()) continue;
      Good(absl::StrCat(NameOf(*end), " has CID ", (*end)->status().cid(), " in ", NetworkOf(**end)));
    }
    if (!facts_.source.has_value() || !facts_.target.has_value()) return true;
    if (facts_.source->name() != facts_.target->name()) return true;
    return Bad(
        absl::StrCat("a guest that connects to its own CID talks to itself: its kernel answers, and nothing of it "
                     "comes here"),
        absl::StrCat("modprobe vsock_loopback, in ", source_), kExitConflict);
  }

  bool Networks() {
    if (!facts_.source.has_value() || !facts_.target.has_value()) return true;
    const std::string from = NetworkOf(*facts_.source), to = NetworkOf(*facts_.target);
    if (from == to) return true;
    return Bad(absl::StrCat("they are in different networks: nobody in ", from, " has an address in ", to),
               absl::StrCat("kinsockctl vm delete ", target_, ", and vm create ", target_, " --net ",
                            from.substr(from.rfind('/') + 1)),
               kExitConflict);
  }

  bool Device(const std::optional<v1::Vm>& end) {
    if (!end.has_value()) return true;
    const std::optional<Obstacle> obstacle = ObstacleOf(*end);
    if (obstacle.has_value()) {
      return Bad(absl::StrCat(NameOf(end), ": ", obstacle->cause), obstacle->next, kExitConflict);
    }
    return Good(absl::StrCat(NameOf(end), " is ACTIVE: its VMM is connected and its driver runs"));
  }

  // The socket between a VM and the host.
  bool HostSide() {
    if (facts_.source.has_value() && facts_.target.has_value()) return true;
    if (facts_.forward.has_value()) return Forward(*facts_.forward);
    const v1::Vm& vm = facts_.source.has_value() ? *facts_.source : *facts_.target;
    const std::string name = ShortVmName(vm.name());
    if (vm.status().uds_path().empty() && !vm.spec().has_vsock_proxy()) {
      return Bad(absl::StrCat(name, " has no socket for host programs"),
                 absl::StrCat("kinsockctl vm delete ", name, ", and vm create ", name, " --uds-path PATH"),
                 kExitConflict);
    }
    return true;
  }

  bool Forward(const v1::Forward& forward) {
    const std::string name = forward.name().substr(forward.name().rfind('/') + 1);
    if (!forward.status().error().empty()) {
      return Bad(absl::StrCat(forward.name(), " is not served: ", forward.status().error()),
                 absl::StrCat("kinsockctl forward get ", name), kExitConflict);
    }
    return Good(forward.direction() == v1::Forward::TO_GUEST
                    ? absl::StrCat(forward.name(), " takes who connects to ", forward.listen(), " there")
                    : absl::StrCat(forward.name(), " takes it to ", forward.target()));
  }

  bool Policy() {
    if (!facts_.policy.has_value()) return true;
    const v1::TestPolicyResponse& policy = *facts_.policy;
    const std::string by = policy.policy().empty()
                               ? absl::StrCat("the default of ", policy.network(), ", ",
                                              v1::Network::DefaultPolicy_Name(policy.default_policy()))
                               : policy.policy();
    if (policy.allowed()) return Good(absl::StrCat("allowed by ", by));
    const bool groups = policy.policy().empty() && policy.default_policy() != v1::Network::DENY &&
                        facts_.source.has_value() && facts_.target.has_value();
    if (groups) {
      return Bad(absl::StrCat("denied by ", by, ": ", source_, " is in ", GroupsOf(*facts_.source), ", ", target_,
                              " in ", GroupsOf(*facts_.target)),
                 absl::StrCat("kinsockctl vm set ", source_, " --groups ", GroupsOf(*facts_.source), "+",
                              GroupsOf(*facts_.target)),
                 kExitDenied);
    }
    const std::string network = policy.network().substr(policy.network().rfind('/') + 1);
    return Bad(absl::StrCat("denied by ", by), absl::StrCat("kinsockctl policy list --net ", network), kExitDenied);
  }

  bool Limits() {
    for (const std::optional<v1::Vm>* end : {&facts_.source, &facts_.target}) {
      if (!end->has_value()) continue;
      for (const v1::Condition& condition : (*end)->status().conditions()) {
        const bool limited = condition.type() == "QuotaLimited" && condition.status() == v1::Condition::TRUE;
        if (limited) Unknown(absl::StrCat(NameOf(*end), " meets a limit: ", condition.message()));
      }
    }
    return true;
  }

  void Listener() {
    if (!facts_.target.has_value() && !facts_.forward.has_value() && !HostListens()) return;
    if (facts_.attempts.empty()) {
      NoAttempt();
      return;
    }
    const v1::Connection& last = facts_.attempts.back();
    if (last.state() != v1::Connection::CLOSED) {
      Good(absl::StrCat("connected: ", last.name()));
      return;
    }
    switch (last.close_reason()) {
      case v1::Connection::GUEST_RST:
      case v1::Connection::NO_LISTENER:
        if (last.to_target().bytes() + last.to_initiator().bytes() > 0) break;  // it was accepted
        NobodyListens(last);
        return;
      case v1::Connection::FINISHED:
      case v1::Connection::HOST_EOF:
        break;
      default:
        Bad(absl::StrCat("the last attempt failed: ", ReasonText(last.close_reason())),
            NextAfter(last.close_reason(), source_, target_, facts_.port), ExitCodeOf(last.close_reason()));
        return;
    }
    Good(absl::StrCat("the last connection was made, and ended: ", ReasonText(last.close_reason())));
  }

  bool HostListens() {
    switch (facts_.host_listener) {
      case ExplainFacts::HostListener::kListening:
        return Good(absl::StrCat("a program listens on ", facts_.host_path));
      case ExplainFacts::HostListener::kNone:
        return Bad(absl::StrCat("no program of the host listens: ", facts_.host_path, " is not there"),
                   absl::StrCat("kinsockctl listen ", source_, " ", facts_.port), kExitConflict);
      case ExplainFacts::HostListener::kDead:
        return Bad(absl::StrCat(facts_.host_path, " is there, but nobody listens on it"),
                   absl::StrCat("kinsockctl listen ", source_, " ", facts_.port), kExitConflict);
      case ExplainFacts::HostListener::kElsewhere:
        return Unknown("whether a program of the host listens can only be seen on the daemon's machine, as its user");
      case ExplainFacts::HostListener::kNotAsked:
        break;
    }
    return true;
  }

  void NobodyListens(const v1::Connection& last) {
    const std::string port = absl::StrCat(facts_.port);
    if (!facts_.target.has_value()) {
      const std::string where = facts_.forward.has_value() ? absl::StrCat(" on ", facts_.forward->target()) : "";
      Bad(absl::StrCat("the last attempt was refused: no program of the host listened", where),
          facts_.forward.has_value() ? "ss -xltn" : absl::StrCat("kinsockctl listen ", source_, " ", port),
          kExitConflict);
      return;
    }
    Bad(absl::StrCat("the last attempt was refused: ", ReasonText(last.close_reason())),
        absl::StrCat("ss --vsock -ln, in ", target_, ": it has to show port ", port), kExitConflict);
  }

  void NoAttempt() {
    if (!facts_.source.has_value()) {
      Unknown(absl::StrCat("no program of the host has tried within the last minute"));
      explanation_.next = absl::StrCat("kinsockctl connect ", target_, " ", facts_.port);
      return;
    }
    const uint32_t cid = facts_.target.has_value() ? facts_.target->status().cid() : kHostCid;
    Unknown(absl::StrCat("nothing has come from ", source_, " for CID ", cid, " port ", facts_.port,
                         " within the last minute. If a program there fails, it uses another address, or its guest has "
                         "loaded vhost_vsock and sends such connections to guests of its own: then the program has to "
                         "set VMADDR_FLAG_TO_HOST, or the guest to unload that module"));
    explanation_.next = absl::StrCat("socat - VSOCK-CONNECT:", cid, ":", facts_.port, ", in ", source_);
  }

  const ExplainFacts& facts_;
  const std::string source_;
  const std::string target_;
  Explanation explanation_;
};

const char* MarkOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "[+] ";
    case Verdict::kBad:
      return "[-] ";
    case Verdict::kUnknown:
      break;
  }
  return "[?] ";
}

}  // namespace

std::string NetworkOf(const v1::Vm& vm) { return vm.spec().network().empty() ? kDefaultNetwork : vm.spec().network(); }

Explanation Explain(const ExplainFacts& facts) { return Walk(facts).Run(); }

std::string ExplanationText(const Explanation& explanation) {
  std::string text;
  for (const Explanation::Step& step : explanation.steps) {
    absl::StrAppend(&text, MarkOf(step.verdict), step.text, "\n");
  }
  if (explanation.cause.empty()) text += "nothing that the daemon knows stands in the way\n";
  if (!explanation.next.empty()) absl::StrAppend(&text, "  try: ", explanation.next, "\n");
  return text;
}

}  // namespace kinsock
