// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/explain/explain_steps.h"
#include "cli/explain/host_lines.h"
#include "cli/explain/refusal.h"
#include "cli/text/shell_word.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

constexpr uint32_t kHostCid = 2;

// The daemon waits for half a second until a program of the host that has too many callers has taken some
// (HostSide::kBusyTimeout); that it is not there is known at once.
constexpr int64_t kBusyMilliseconds = 400;

// The limit that `vm` has met in the last seconds; empty: none.
std::string LimitMetNow(const v1::Vm& vm) {
  for (const v1::Condition& condition : vm.status().conditions()) {
    if (condition.type() != "QuotaLimited" || condition.status() != v1::Condition::TRUE) continue;
    return condition.message().substr(0, condition.message().find(' '));
  }
  return "";
}

// Those that `vm` has ever met and that refuse or end connections.
std::vector<std::string> LimitsMet(const v1::Vm& vm) {
  const v1::FromGuestStats& out = vm.status().stats().from_guest();
  const v1::ToGuestStats& in = vm.status().stats().to_guest();
  std::vector<std::string> limits;
  if (out.limited_connects() + in.limited_connects() > 0) limits.push_back("connects_per_second");
  if (out.limited_connections() + in.limited_connections() > 0) limits.push_back("max_connections");
  if (out.limited_pending_connections() > 0) limits.push_back("max_pending_connections");
  if (out.limited_buffered_bytes() + in.limited_buffered_bytes() > 0) limits.push_back("max_buffer_bytes");
  return limits;
}

// What the VM's own spec says of a limit; 0: nothing, so that it is its network's, or the daemon's.
uint64_t OwnLimit(const v1::Quota& quota, const std::string& limit) {
  if (limit == "connects_per_second") return quota.connects_per_second().rate();
  if (limit == "max_connections") return quota.max_connections();
  if (limit == "max_pending_connections") return quota.max_pending_connections();
  if (limit == "max_buffer_bytes") return quota.max_buffer_bytes();
  return 0;
}

class Attempt {
 public:
  Attempt(const ExplainFacts& facts, ExplainSteps& steps)
      : facts_(facts), steps_(steps), source_(facts.source.Name()), target_(facts.target.Name()) {}

  void Look() {
    Conditions();
    if (facts_.target.host && !facts_.forward.has_value() && !HostListens()) return;
    if (facts_.attempts.empty()) return NoAttempt();
    Judge(facts_.attempts.back());
  }

 private:
  // Nothing of this refuses a connection by itself.
  void Conditions() {
    for (const ExplainFacts::End* end : {&facts_.source, &facts_.target}) {
      if (!end->vm.has_value()) continue;
      for (const v1::Condition& condition : end->vm->status().conditions()) {
        if (condition.type() == "QuotaLimited" && condition.status() == v1::Condition::TRUE) {
          steps_.Unknown(Step::QUOTA, absl::StrCat(end->Name(), " meets a limit: ", condition.message()));
        }
        if (end == &facts_.target && condition.type() == "GuestReady" && condition.status() == v1::Condition::FALSE) {
          steps_.Unknown(Step::LISTENER, absl::StrCat(end->Name(), " is not ready: ", condition.message()));
        }
      }
    }
  }

  // Only for a guest that calls the host.
  bool HostListens() {
    const std::string listen = absl::StrCat("kinsockctl listen ", source_, " ", facts_.port);
    if (facts_.source.vm->spec().readiness().sd_notify_port() == facts_.port && facts_.port != 0) {
      return steps_.Good(Step::LISTENER, absl::StrCat("the daemon itself listens there, for what makes ", source_,
                                                      " ready (sd_notify_port)"));
    }
    switch (facts_.host_listener) {
      case ExplainFacts::HostListener::kListening:
        return steps_.Good(Step::LISTENER, absl::StrCat("a program listens on ", facts_.host_path));
      case ExplainFacts::HostListener::kNone:
        steps_.Next(listen);
        return steps_.Bad(Step::LISTENER, "NO_LISTENER",
                          absl::StrCat("no program of the host listens: ", facts_.host_path, " is not there"),
                          kExitConflict);
      case ExplainFacts::HostListener::kDead:
        steps_.Next(listen);
        return steps_.Bad(Step::LISTENER, "NO_LISTENER",
                          absl::StrCat(facts_.host_path, " is there, but nobody listens on it"), kExitConflict);
      case ExplainFacts::HostListener::kUnseen:
        return steps_.Unknown(Step::LISTENER,
                              absl::StrCat("a program has ", facts_.host_path,
                                           ", but whether it listens cannot be told from here: it is in a container, "
                                           "or this command may not look"));
      case ExplainFacts::HostListener::kElsewhere:
        return steps_.Unknown(Step::LISTENER,
                              "whether a program of the host listens can only be seen on the daemon's machine, as its "
                              "user");
      case ExplainFacts::HostListener::kNotAsked:
        break;
    }
    return true;
  }

  void NoAttempt() {
    if (facts_.source.host) {
      steps_.Unknown(Step::ATTEMPT, "no program of the host has tried within the last minute");
      return TryAgain();
    }
    const std::string nothing = absl::StrCat("nothing has come from ", source_, " for CID ", TargetCid(), " port ",
                                             facts_.port, " within the last minute: ");
    if (facts_.target.host) {
      steps_.Unknown(Step::ATTEMPT, absl::StrCat(nothing, "if a program there fails, it uses another address"));
      return TryAgain();
    }
    // af_vsock.c, vsock_assign_transport(): vhost_vsock takes what is for other CIDs than the host's.
    steps_.Unknown(Step::ATTEMPT,
                   absl::StrCat(nothing,
                                "if a program there fails, it uses another address, or its guest has loaded "
                                "vhost_vsock and sends such connections to guests of its own: then the program "
                                "has to set VMADDR_FLAG_TO_HOST, or the guest to unload that module"));
    steps_.NextIn(*facts_.source.vm, "lsmod | grep vhost_vsock");
    TryAgain();
  }

  uint32_t TargetCid() const { return facts_.target.host ? kHostCid : facts_.target.vm->status().cid(); }

  void TryAgain() {
    if (facts_.source.host) {
      steps_.Next(CallLine(*facts_.target.vm, facts_.port, facts_.forward));
    } else {
      steps_.NextIn(*facts_.source.vm, absl::StrCat("socat - VSOCK-CONNECT:", TargetCid(), ":", facts_.port));
    }
  }

  std::string Ago(const v1::Connection& attempt) const {
    const int64_t seconds = facts_.now - attempt.close_time().seconds();
    return absl::StrCat("the last attempt, ", seconds < 0 ? 0 : seconds, " s ago, ");
  }

  bool Failed(const v1::Connection& attempt, std::string why, ExitCode code) {
    return steps_.Bad(Step::ATTEMPT, v1::Connection::CloseReason_Name(attempt.close_reason()),
                      absl::StrCat(Ago(attempt), "failed: ", why), code);
  }

  // What refused it then is not so now, as the steps before have shown.
  void Changed(const v1::Connection& attempt) {
    steps_.Unknown(Step::ATTEMPT, absl::StrCat(Ago(attempt), "failed: ", ReasonText(attempt.close_reason()),
                                               "; that is not so any more"));
    TryAgain();
  }

  void Judge(const v1::Connection& last) {
    if (last.state() == v1::Connection::CONNECTING) {
      steps_.Unknown(Step::ATTEMPT, absl::StrCat(last.name(), " waits for an answer"));
      return;
    }
    if (last.state() != v1::Connection::CLOSED) {
      steps_.Good(Step::ATTEMPT, absl::StrCat("connected: ", last.name()));
      return;
    }
    const bool carried = last.to_target().bytes() + last.to_initiator().bytes() > 0;
    const bool proxied = (facts_.source.vm.has_value() && facts_.source.vm->spec().has_vsock_proxy()) ||
                         (facts_.target.vm.has_value() && facts_.target.vm->spec().has_vsock_proxy());
    switch (last.close_reason()) {
      case v1::Connection::GUEST_RST:
      case v1::Connection::NO_LISTENER:
        if (!carried) return NobodyListens(last);
        break;
      case v1::Connection::FINISHED:
      case v1::Connection::HOST_EOF:
        break;
      case v1::Connection::POLICY_DENIED:
        // With a vsock_proxy also: the port of the host leads to another guest.
        if (proxied) return Other(last);
        return Changed(last);
      case v1::Connection::DRAIN:
      case v1::Connection::PEER_GONE:
      case v1::Connection::TRANSPORT_RESET:
        return Changed(last);
      case v1::Connection::QUOTA:
        return Limited(last);
      default:
        return Other(last);
    }
    steps_.Good(Step::ATTEMPT,
                absl::StrCat("the last connection was made, and ended: ", ReasonText(last.close_reason())));
  }

  void Other(const v1::Connection& last) {
    Failed(last, ReasonText(last.close_reason()), ExitCodeOf(last.close_reason()));
    const std::string& vm = facts_.target.host ? source_ : target_;
    steps_.Next(absl::StrCat("kinsockctl conn list --closed --vm ", vm, " -o wide"));
  }

  void NobodyListens(const v1::Connection& last) {
    if (!facts_.target.host) {
      Failed(last, ReasonText(last.close_reason()), kExitConflict);
      steps_.NextIn(*facts_.target.vm, "ss --vsock -ln");
      return;
    }
    if (facts_.forward.has_value()) {
      Failed(last, absl::StrCat("no program of the host listened on ", facts_.forward->target()), kExitConflict);
      steps_.Next("ss -xltn");
      return;
    }
    if (const v1::VmSpec& spec = facts_.source.vm->spec(); spec.has_vsock_proxy()) {
      Failed(last,
             absl::StrCat("nobody listened on port ", facts_.port, " of CID ", spec.vsock_proxy().forward_cid(),
                          " of the host's AF_VSOCK"),
             kExitConflict);
      steps_.Next("ss --vsock -ln");
      return;
    }
    if (facts_.host_listener != ExplainFacts::HostListener::kListening &&
        facts_.host_listener != ExplainFacts::HostListener::kUnseen) {
      Failed(last, "no program of the host listened", kExitConflict);
      steps_.Next(absl::StrCat("kinsockctl listen ", source_, " ", facts_.port));
      return;
    }
    using google::protobuf::util::TimeUtil;
    const int64_t took = TimeUtil::DurationToMilliseconds(last.close_time() - last.start_time());
    if (took >= kBusyMilliseconds) {
      steps_.Bad(Step::ATTEMPT, "BACKLOG_FULL",
                 absl::StrCat(Ago(last), "failed: the program that listens on ", facts_.host_path,
                              " had as many callers waiting as its backlog takes, and accepted none for half a second"),
                 kExitConflict);
      steps_.Next(absl::StrCat("ss -xlp src ", ShellWord(facts_.host_path)));
      return;
    }
    steps_.Unknown(Step::ATTEMPT, absl::StrCat(Ago(last),
                                               "failed: nobody listened then, or who listens does not let the "
                                               "daemon's user connect"));
    steps_.Next(absl::StrCat("ls -l ", ShellWord(facts_.host_path)));
    TryAgain();
  }

  void Limited(const v1::Connection& last) {
    std::vector<std::string> met, next;
    const auto add = [&](const v1::Vm& vm, const std::string& limit) {
      const std::string name = ShortVmName(vm.name());
      const uint64_t own = OwnLimit(vm.spec().quota(), limit);
      met.push_back(absl::StrCat("quota.", limit, " of ", name, own == 0 ? "" : absl::StrCat(", ", own)));
      next.push_back(own == 0 ? absl::StrCat("kinsockctl net get ", NetworkOf(vm), " -o yaml")
                              : absl::StrCat("kinsockctl vm set ", name, " --quota ", limit, "=", 2 * own));
    };
    const std::vector<const std::optional<v1::Vm>*> ends{&facts_.source.vm, &facts_.target.vm};
    for (const std::optional<v1::Vm>* vm : ends) {
      const std::string limit = vm->has_value() ? LimitMetNow(**vm) : "";
      if (!limit.empty()) add(**vm, limit);
    }
    for (const std::optional<v1::Vm>* vm : ends) {
      if (!met.empty() || !vm->has_value()) continue;
      for (const std::string& limit : LimitsMet(**vm)) add(**vm, limit);
    }
    if (met.empty() && facts_.forward.has_value()) {
      met.push_back(absl::StrCat("as many connections as ", facts_.forward->name(), " may have were open"));
      next.push_back("kinsockctl forward list");
    }
    if (next.empty()) next.push_back(absl::StrCat("kinsockctl stats ", facts_.target.host ? source_ : target_));
    Failed(last,
           met.empty() ? ReasonText(last.close_reason())
                       : absl::StrCat("a quota is used up: ", absl::StrJoin(met, ", or ")),
           ExitCodeOf(last.close_reason()));
    for (const std::string& line : next) steps_.Next(line);
  }

  const ExplainFacts& facts_;
  ExplainSteps& steps_;
  const std::string source_;
  const std::string target_;
};

}  // namespace

void ExplainAttempt(const ExplainFacts& facts, ExplainSteps& steps) { Attempt(facts, steps).Look(); }

}  // namespace kinsock
