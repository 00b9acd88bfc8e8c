// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/call/same_daemon.h"
#include "cli/commands/commands.h"
#include "cli/text/output.h"
#include "cli/text/text_width.h"
#include "cli/top/vm_progress.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

constexpr std::chrono::seconds kWaitTimeout{30};
// For what is only asked to be told why the wait was in vain.
constexpr std::chrono::seconds kMoment{2};

// The reason of GuestReady while spec.readiness says nothing.
constexpr char kNoSource[] = "NoSource";

constexpr const char* kConditions[] = {"FrontEndConnected", "DriverReady", "GuestReady", "QuotaLimited", "Degraded"};

// False: it names nothing that can be waited for.
bool ParseGoal(const std::string& text, v1::WaitVmRequest& request) {
  if (absl::AsciiStrToLower(text) == "deleted") {
    request.set_deleted(true);
    return true;
  }
  v1::VmStatus::State state = v1::VmStatus::STATE_UNSPECIFIED;
  if (v1::VmStatus::State_Parse(absl::AsciiStrToUpper(text), &state) && state != v1::VmStatus::STATE_UNSPECIFIED) {
    request.set_state(state);
    return true;
  }
  // "DriverReady", or "DriverReady=false".
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
  if (std::find(std::begin(kConditions), std::end(kConditions), parts[0]) == std::end(kConditions)) return false;
  const std::string wanted = parts.size() == 2 ? absl::AsciiStrToLower(parts[1]) : "true";
  if (wanted != "true" && wanted != "false") return false;
  request.set_condition(parts[0]);
  request.set_status(wanted == "true" ? v1::Condition::TRUE : v1::Condition::FALSE);
  return true;
}

void PrintChange(const v1::WatchVmsResponse& change, const Options& options) {
  if (options.format == OutputFormat::kJson || options.format == OutputFormat::kJsonl) {
    return Print(Render(change, OutputFormat::kJsonl));
  }
  if (options.format == OutputFormat::kYaml) return Print("---\n" + Render(change, options.format));
  if (!change.has_vm()) return;
  if (options.format == OutputFormat::kName) return Print(change.vm().name() + "\n");
  Table table = MakeVmTable(options.format);
  AddVm(change.vm(), options.format, table);
  Print(absl::StrCat(v1::WatchVmsResponse::Type_Name(change.type()), "  ", table.Render(false)));
}

ExitCode Watch(const std::string& filter, const Options& options) {
  Client client(options);
  grpc::ClientContext context;
  if (options.timeout.has_value()) client.SetDeadline(context, *options.timeout);
  v1::WatchRequest request;
  request.set_filter(filter);
  const auto stream = client.vms().WatchVms(&context, request);
  v1::WatchVmsResponse change;
  while (stream->Read(&change)) {
    PrintChange(change, options);
    if (std::ferror(stdout) != 0) context.TryCancel();  // nobody reads us
  }
  return client.Report(stream->Finish());
}

struct WaitFlags {
  std::string name;
  std::string goal;
};

// What is said of the condition that is waited for; null: a state is, or the VM is not known.
const v1::Condition* Awaited(const v1::Vm& vm, const v1::WaitVmRequest& request) {
  for (const v1::Condition& condition : vm.status().conditions()) {
    if (condition.type() == request.condition()) return &condition;
  }
  return nullptr;
}

// The deadline has passed, as `status` says: says what the VM is instead, if the daemon says that.
ExitCode ExplainDeadline(Client& client, const WaitFlags& flags, const v1::WaitVmRequest& request,
                         const grpc::Status& status) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kMoment);  // whatever --timeout was
  v1::GetVmRequest question;
  question.set_name(request.name());
  v1::Vm vm;
  if (!client.vms().GetVm(&context, question, &vm).ok()) return client.Report(status);
  const v1::Condition* const condition = Awaited(vm, request);
  const std::string why = condition == nullptr ? "" : absl::StrCat(": ", CleanText(condition->message()));
  const std::string next = SameDaemon(absl::StrCat("kinsockctl vm get ", ShortVmName(request.name()), " -o yaml"));
  std::fprintf(stderr, "kinsockctl: %s is %s, not yet %s%s\n  try: %s, or a longer --timeout\n", request.name().c_str(),
               v1::VmStatus::State_Name(vm.status().state()).c_str(), flags.goal.c_str(), why.c_str(), next.c_str());
  return kExitDeadline;
}

// A condition that nobody will ever tell of is waited for in vain: the guest's, of a VM that does not say who does.
// That, or what keeps the daemon from telling, is said here. Nothing: it may come.
std::optional<ExitCode> WaitsInVain(Client& client, const WaitFlags& flags, const v1::WaitVmRequest& request) {
  if (request.condition().empty()) return std::nullopt;
  v1::GetVmRequest question;
  question.set_name(request.name());
  v1::Vm vm;
  const grpc::Status status = Ask(client, client.vms(), &v1::VmService::Stub::GetVm, question, vm);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return ExplainDeadline(client, flags, request, status);
  }
  if (!status.ok()) return client.Report(status);
  const v1::Condition* const condition = Awaited(vm, request);
  if (condition == nullptr || condition->reason() != kNoSource) return std::nullopt;
  const std::string next = absl::StrCat("kinsockctl vm set ", ShortVmName(vm.name()), " --ready-when probe:22");
  std::fprintf(stderr, "kinsockctl: %s will never be %s: %s\n  try: %s\n", request.name().c_str(), flags.goal.c_str(),
               condition->message().c_str(), SameDaemon(next).c_str());
  return kExitConflict;
}

ExitCode Wait(const WaitFlags& flags, const Options& options) {
  v1::WaitVmRequest request;
  request.set_name(FullVmName(flags.name));
  if (!ParseGoal(flags.goal, request)) {
    std::fprintf(stderr,
                 "kinsockctl: --for: \"%s\" is no state (LISTENING, CONNECTED, ACTIVE, SUSPENDED, DRAINING, DRAINED), "
                 "condition (%s, with =false for its contrary), nor \"deleted\"\n",
                 flags.goal.c_str(), absl::StrJoin(kConditions, ", ").c_str());
    return kExitUsage;
  }
  Client client(options);
  if (const std::optional<ExitCode> vain = WaitsInVain(client, flags, request); vain.has_value()) return *vain;
  auto context = std::make_unique<grpc::ClientContext>();
  client.SetDeadline(*context, kWaitTimeout);
  v1::Vm vm;
  const grpc::Status status = AwaitVmCall(
      client, request.name(), "waiting for " + flags.goal, std::move(context),
      [&](grpc::ClientContext* call, grpc::CompletionQueue* queue) {
        return client.vms().AsyncWaitVm(call, request, queue);
      },
      vm);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return ExplainDeadline(client, flags, request, status);
  }
  if (!status.ok()) return client.Report(status);
  if (!request.deleted()) {
    Print(RenderVm(vm, options));
  } else if (!ShowsMessage(options.format)) {
    Print(request.name() + " is not there\n");
  }
  return kExitOk;
}

}  // namespace

void DeclareWatchCommands(CLI::App& vm, Command& command) {
  CLI::App* watch = vm.add_subcommand("watch", "Show all VMs, then every change as it happens");
  auto filter = std::make_shared<std::string>();
  watch->add_option("--filter", *filter, "Only those that match, as in vm list")->option_text("FILTER");
  watch->callback(
      [filter, &command] { command = [filter](const Options& options) { return Watch(*filter, options); }; });
  CLI::App* wait = vm.add_subcommand("wait", "Wait until a VM is in a state, a condition holds, or it is gone");
  auto flags = std::make_shared<WaitFlags>();
  wait->add_option("NAME", flags->name, "Which VM")->required();
  wait->add_option(
          "--for", flags->goal,
          "LISTENING, CONNECTED, ACTIVE, SUSPENDED, DRAINED, " + absl::StrJoin(kConditions, ", ") + ", deleted")
      ->required()
      ->option_text("STATE|CONDITION|deleted");
  wait->footer(
      "Examples:\n  kinsockctl vm wait web --for=GuestReady --timeout 2m\n"
      "  kinsockctl vm wait web --for=DriverReady=false\n  kinsockctl vm wait web --for=deleted");
  wait->callback([flags, &command] { command = [flags](const Options& options) { return Wait(*flags, options); }; });
}

}  // namespace kinsock
