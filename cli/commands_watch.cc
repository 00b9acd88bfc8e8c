// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/vm_view.h"

namespace kinsock {
namespace {

constexpr std::chrono::seconds kWaitTimeout{30};

using Type = v1::WatchVmsResponse;

// What `vm wait --for` waits for.
struct Goal {
  bool deleted = false;
  v1::VmStatus::State state = v1::VmStatus::STATE_UNSPECIFIED;
  std::string condition;  // to hold; empty: none
};

// False: it names nothing that can be waited for.
bool ParseGoal(const std::string& text, Goal& goal) {
  if (absl::AsciiStrToLower(text) == "deleted") {
    goal.deleted = true;
    return true;
  }
  if (text == "FrontEndConnected" || text == "DriverReady") {
    goal.condition = text;
    return true;
  }
  return v1::VmStatus::State_Parse(absl::AsciiStrToUpper(text), &goal.state) &&
         goal.state != v1::VmStatus::STATE_UNSPECIFIED;
}

bool Reached(const Goal& goal, const v1::Vm& vm) {
  if (!goal.condition.empty()) {
    for (const v1::Condition& condition : vm.status().conditions()) {
      if (condition.type() == goal.condition) return condition.status() == v1::Condition::TRUE;
    }
    return false;
  }
  return !goal.deleted && vm.status().state() == goal.state;
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

ExitCode Watch(const Options& options) {
  Client client(options);
  grpc::ClientContext context;
  if (options.timeout.has_value()) client.SetDeadline(context, *options.timeout);
  const auto stream = client.vms().WatchVms(&context, v1::WatchRequest());
  v1::WatchVmsResponse change;
  while (stream->Read(&change)) {
    PrintChange(change, options);
    if (std::ferror(stdout) != 0) context.TryCancel();  // nobody reads us
  }
  return client.Report(stream->Finish());
}

// What a watch told so far of the VM that is waited for.
enum class Found { kNothing, kGoal, kAbsent };

Found Look(const v1::WatchVmsResponse& change, const std::string& name, const Goal& goal, bool& exists) {
  if (change.type() == Type::SYNCED && !exists) return goal.deleted ? Found::kGoal : Found::kAbsent;
  if (change.vm().name() != name) return Found::kNothing;
  exists = change.type() != Type::DELETED;
  if (!exists) return goal.deleted ? Found::kGoal : Found::kAbsent;
  return Reached(goal, change.vm()) ? Found::kGoal : Found::kNothing;
}

struct WaitFlags {
  std::string name;
  std::string goal;
};

ExitCode Wait(const WaitFlags& flags, const Options& options) {
  Goal goal;
  if (!ParseGoal(flags.goal, goal)) {
    std::fprintf(stderr,
                 "kinsockctl: --for: \"%s\" is no state (LISTENING, CONNECTED, ACTIVE, SUSPENDED, DRAINED), condition "
                 "(FrontEndConnected, DriverReady), nor \"deleted\"\n",
                 flags.goal.c_str());
    return kExitUsage;
  }
  const std::string name = FullVmName(flags.name);
  Client client(options);
  grpc::ClientContext context;
  client.SetDeadline(context, kWaitTimeout);
  const auto stream = client.vms().WatchVms(&context, v1::WatchRequest());
  v1::WatchVmsResponse change;
  std::string last = "not heard of";
  bool exists = false;
  while (stream->Read(&change)) {
    if (change.vm().name() == name) last = v1::VmStatus::State_Name(change.vm().status().state());
    const Found found = Look(change, name, goal, exists);
    if (found == Found::kNothing) continue;
    context.TryCancel();
    if (found == Found::kAbsent) {
      std::fprintf(stderr, "kinsockctl: there is no %s\n  try: kinsockctl vm list\n", name.c_str());
      return kExitNotFound;
    }
    if (change.has_vm() && exists) {
      Print(RenderVm(change.vm(), options));
    } else if (!ShowsMessage(options.format)) {
      Print(name + " is not there\n");
    }
    return kExitOk;
  }
  const grpc::Status status = stream->Finish();
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    std::fprintf(stderr,
                 "kinsockctl: %s is %s, not yet %s\n  try: kinsockctl vm get %s -o yaml, or a longer --timeout\n",
                 name.c_str(), last.c_str(), flags.goal.c_str(), flags.name.c_str());
    return kExitDeadline;
  }
  return client.Report(status);
}

}  // namespace

void DeclareWatchCommands(CLI::App& vm, Command& command) {
  vm.add_subcommand("watch", "Show all VMs, then every change as it happens")->callback([&command] {
    command = Watch;
  });
  CLI::App* wait = vm.add_subcommand("wait", "Wait until a VM is in a state, a condition holds, or it is gone");
  auto flags = std::make_shared<WaitFlags>();
  wait->add_option("NAME", flags->name)->required();
  wait->add_option("--for", flags->goal,
                   "LISTENING, CONNECTED, ACTIVE, SUSPENDED, DRAINED, FrontEndConnected, DriverReady, deleted")
      ->required()
      ->option_text("STATE|CONDITION|deleted");
  wait->callback([flags, &command] { command = [flags](const Options& options) { return Wait(*flags, options); }; });
}

}  // namespace kinsock
