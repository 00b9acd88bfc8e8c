// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/explain.h"
#include "cli/output.h"
#include "cli/refusal.h"
#include "cli/vm_view.h"

namespace kinsock {
namespace {

constexpr char kHost[] = "host";
constexpr uint32_t kHostCid = 2;
constexpr int kPageSize = 1000;
// As many VMs as a daemon has.
constexpr int kMostPages = 17;

struct ExplainFlags {
  std::string from;
  std::string to;
};

ExitCode GetVm(Client& client, const std::string& name, std::optional<v1::Vm>& vm) {
  if (name == kHost) return kExitOk;
  grpc::ClientContext context;
  client.SetDeadline(context, kQuestionTimeout);
  v1::GetVmRequest request;
  request.set_name(FullVmName(name));
  vm.emplace();
  const grpc::Status status = client.vms().GetVm(&context, request, &*vm);
  return status.ok() ? kExitOk : client.Report(status);
}

// Who has `cid` where `source` is.
ExitCode FindByCid(Client& client, const v1::Vm& source, uint32_t cid, std::optional<v1::Vm>& vm) {
  v1::ListVmsRequest request;
  request.set_page_size(kPageSize);
  for (int page = 0; page < kMostPages; ++page) {
    grpc::ClientContext context;
    client.SetDeadline(context, kQuestionTimeout);
    v1::ListVmsResponse list;
    if (const grpc::Status status = client.vms().ListVms(&context, request, &list); !status.ok()) {
      return client.Report(status);
    }
    for (const v1::Vm& each : list.vms()) {
      if (each.status().cid() != cid || NetworkOf(each) != NetworkOf(source)) continue;
      vm = each;
      return kExitOk;
    }
    request.set_page_token(list.next_page_token());
    if (request.page_token().empty()) break;
  }
  std::fprintf(stderr, "kinsockctl: nobody in the network of %s has CID %u\n  try: kinsockctl vm list\n",
               ShortVmName(source.name()).c_str(), cid);
  return kExitNotFound;
}

bool EndedBefore(const v1::Connection& a, const v1::Connection& b) {
  using google::protobuf::util::TimeUtil;
  return TimeUtil::TimestampToNanoseconds(a.start_time()) < TimeUtil::TimestampToNanoseconds(b.start_time());
}

// What `facts` say the source has tried lately. A daemon that does not tell knows of nothing.
void FindAttempts(Client& client, ExplainFacts& facts) {
  v1::ListConnectionsRequest request;
  request.set_page_size(kPageSize);
  request.set_vm(facts.target.has_value() ? facts.target->name() : facts.source->name());
  for (int state = v1::Connection::State_MIN + 1; state <= v1::Connection::State_MAX; ++state) {
    request.add_states(static_cast<v1::Connection::State>(state));
  }
  for (int page = 0; page < kMostPages; ++page) {
    grpc::ClientContext context;
    client.SetDeadline(context, kQuestionTimeout);
    v1::ListConnectionsResponse response;
    if (!client.connections().ListConnections(&context, request, &response).ok()) break;
    for (const v1::Connection& connection : response.connections()) {
      const bool from = facts.source.has_value() ? connection.initiator().vm() == facts.source->name()
                                                 : connection.initiator().cid() == kHostCid;
      const bool to = facts.target.has_value() ? connection.target().vm() == facts.target->name()
                                               : connection.target().cid() == kHostCid;
      if (from && to && connection.target().port() == facts.port) facts.attempts.push_back(connection);
    }
    request.set_page_token(response.next_page_token());
    if (request.page_token().empty()) break;
  }
  std::stable_sort(facts.attempts.begin(), facts.attempts.end(), EndedBefore);
}

// A daemon that does not tell has none.
void FindForward(Client& client, ExplainFacts& facts) {
  if (facts.source.has_value() && facts.target.has_value()) return;
  const auto wanted = facts.source.has_value() ? v1::Forward::FROM_GUEST : v1::Forward::TO_GUEST;
  v1::ListForwardsRequest request;
  request.set_vm(facts.source.has_value() ? facts.source->name() : facts.target->name());
  request.set_page_size(kPageSize);
  for (int page = 0; page < kMostPages; ++page) {
    grpc::ClientContext context;
    client.SetDeadline(context, kQuestionTimeout);
    v1::ListForwardsResponse list;
    if (!client.forwards().ListForwards(&context, request, &list).ok()) return;
    for (const v1::Forward& forward : list.forwards()) {
      if (forward.direction() == wanted && forward.guest_port() == facts.port) facts.forward = forward;
    }
    request.set_page_token(list.next_page_token());
    if (request.page_token().empty()) return;
  }
}

// proc(5), /proc/net/unix: flags with __SO_ACCEPTCON, and the path that it was bound to.
bool IsListenedOn(const std::string& path) {
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    if (absl::StrContains(line, " 00010000 ") && absl::EndsWith(line, " " + path)) return true;
  }
  return false;
}

// Where the source's connections to the host arrive, as far as this machine shows it.
void FindHostListener(const Options& options, ExplainFacts& facts) {
  using HostListener = ExplainFacts::HostListener;
  if (facts.target.has_value() || !facts.source.has_value() || facts.source->status().uds_path().empty()) return;
  facts.host_path = absl::StrCat(facts.source->status().uds_path(), "_", facts.port);
  struct stat found;
  if (!absl::StartsWith(options.endpoint, "unix:") ||
      (lstat(facts.host_path.c_str(), &found) != 0 && errno != ENOENT)) {
    facts.host_listener = HostListener::kElsewhere;
  } else if (lstat(facts.host_path.c_str(), &found) != 0) {
    facts.host_listener = HostListener::kNone;
  } else {
    facts.host_listener = IsListenedOn(facts.host_path) ? HostListener::kListening : HostListener::kDead;
  }
}

ExitCode AskPolicy(Client& client, ExplainFacts& facts) {
  if (facts.source.has_value() && facts.target.has_value() && NetworkOf(*facts.source) != NetworkOf(*facts.target)) {
    return kExitOk;
  }
  grpc::ClientContext context;
  client.SetDeadline(context, kQuestionTimeout);
  v1::TestPolicyRequest request;
  request.set_from(facts.source.has_value() ? facts.source->name() : kHost);
  request.set_to(facts.target.has_value() ? facts.target->name() : kHost);
  request.set_port(facts.port);
  facts.policy.emplace();
  const grpc::Status status = client.networks().TestPolicy(&context, request, &*facts.policy);
  return status.ok() ? kExitOk : client.Report(status);
}

ExitCode ExplainCommand(const ExplainFlags& flags, const Options& options) {
  const size_t colon = flags.to.rfind(':');
  const std::string target = flags.to.substr(0, colon);
  ExplainFacts facts;
  if (colon == std::string::npos || !absl::SimpleAtoi(flags.to.substr(colon + 1), &facts.port)) {
    std::fprintf(stderr, "kinsockctl: explain: \"%s\" is not of the form VM:PORT, CID:PORT or host:PORT\n",
                 flags.to.c_str());
    return kExitUsage;
  }
  uint32_t cid = 0;
  const bool by_cid = absl::SimpleAtoi(target, &cid) && cid != kHostCid;
  const bool to_host = target == kHost || cid == kHostCid;
  if (flags.from == kHost && (to_host || by_cid)) {
    std::fprintf(stderr, "kinsockctl: explain: the host does not reach %s by way of kinsock; name a VM\n",
                 to_host ? "itself" : "CIDs");
    return kExitUsage;
  }
  Client client(options);
  if (const ExitCode code = GetVm(client, flags.from, facts.source); code != kExitOk) return code;
  if (!to_host) {
    const ExitCode code =
        by_cid ? FindByCid(client, *facts.source, cid, facts.target) : GetVm(client, target, facts.target);
    if (code != kExitOk) return code;
  }
  if (const ExitCode code = AskPolicy(client, facts); code != kExitOk) return code;
  FindForward(client, facts);
  FindAttempts(client, facts);
  FindHostListener(options, facts);
  const Explanation explanation = Explain(facts);
  Print(ExplanationText(explanation));
  return explanation.code;
}

}  // namespace

void DeclareExplain(CLI::App& app, Command& command) {
  CLI::App* explain = app.add_subcommand(
      "explain", "Say why one end cannot connect to another, and what to do; ends with the exit code for it");
  auto flags = std::make_shared<ExplainFlags>();
  explain->add_option("from", flags->from, "Who connects: a VM, or host")->required();
  explain->add_option("to", flags->to, "To whom: VM:PORT, CID:PORT, or host:PORT")->required();
  explain->callback(
      [flags, &command] { command = [flags](const Options& options) { return ExplainCommand(*flags, options); }; });
}

}  // namespace kinsock
