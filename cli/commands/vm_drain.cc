// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/flags/cid_flag.h"
#include "cli/flags/time_flag.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"
#include "cli/top/vm_progress.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

using Stub = v1::VmService::Stub;

template <typename Request>
ExitCode ChangeAndShow(grpc::Status (Stub::*change)(grpc::ClientContext*, const Request&, v1::Vm*),
                       const Request& request, const Options& options) {
  Client client(options);
  v1::Vm vm;
  const grpc::Status status = Ask(client, client.vms(), change, request, vm, kChangeTimeout);
  if (!status.ok()) return client.Report(status);
  Print(RenderVm(vm, options));
  return kExitOk;
}

struct DrainFlags {
  std::string name;
  std::string reset_after;
  bool validate_only = false;
  bool wait = false;
};

// Until it is drained; a drain without a deadline is waited for as long as the user allows.
grpc::Status AwaitDrained(Client& client, const std::string& name, const Options& options,
                          std::optional<std::chrono::milliseconds> reset_after, v1::Vm& vm) {
  v1::WaitVmRequest request;
  request.set_name(name);
  request.set_state(v1::VmStatus::DRAINED);
  auto context = std::make_unique<grpc::ClientContext>();
  if (options.timeout.has_value() || reset_after.has_value()) {
    client.SetDeadline(*context, reset_after.value_or(std::chrono::milliseconds(0)) + kChangeTimeout);
  }
  return AwaitVmCall(
      client, name, "draining", std::move(context),
      [&](grpc::ClientContext* call, grpc::CompletionQueue* queue) {
        return client.vms().AsyncWaitVm(call, request, queue);
      },
      vm);
}

ExitCode Drain(const DrainFlags& flags, const Options& options) {
  v1::DrainVmRequest request;
  request.set_name(FullVmName(flags.name));
  request.set_validate_only(flags.validate_only);
  std::optional<std::chrono::milliseconds> after;
  if (!flags.reset_after.empty()) {
    after = TimeOf("--reset-after", flags.reset_after);
    if (!after.has_value()) return kExitUsage;
    request.set_reset_remaining(true);
    SetDuration(*after, *request.mutable_deadline());
  }
  Client client(options);
  v1::Vm vm;
  grpc::Status status = Ask(client, client.vms(), &Stub::DrainVm, request, vm, kChangeTimeout);
  if (status.ok() && flags.wait && !flags.validate_only) {
    status = AwaitDrained(client, request.name(), options, after, vm);
  }
  if (!status.ok()) return client.Report(status);
  Print(RenderVm(vm, options));
  return kExitOk;
}

ExitCode Resume(const std::string& name, const Options& options) {
  v1::ResumeVmRequest request;
  request.set_name(FullVmName(name));
  return ChangeAndShow(&Stub::ResumeVm, request, options);
}

struct ResetFlags {
  std::string name;
  std::string new_cid;
  bool sticky_cid = false;
  bool validate_only = false;
};

ExitCode Reset(const ResetFlags& flags, const Options& options) {
  v1::ResetVmRequest request;
  request.set_name(FullVmName(flags.name));
  request.set_validate_only(flags.validate_only);
  if (!flags.new_cid.empty()) {
    if (!ParseCid(flags.new_cid, *request.mutable_new_cid())) {
      std::fprintf(stderr, "kinsockctl: %s\n", CidFault("--new-cid", flags.new_cid).c_str());
      return kExitUsage;
    }
    request.mutable_new_cid()->set_sticky(flags.sticky_cid);
  }
  return ChangeAndShow(&Stub::ResetVm, request, options);
}

}  // namespace

void DeclareVmDrainCommands(CLI::App& vm, Command& command) {
  CLI::App* drain =
      vm.add_subcommand("drain", "No new connections of a VM, in either direction; those it has may finish");
  auto flags = std::make_shared<DrainFlags>();
  drain->add_option("NAME", flags->name, "Which VM")->required();
  drain->add_option("--reset-after", flags->reset_after, "Reset what is left after this; without it, never")
      ->option_text("30s|500ms|2m");
  drain->add_flag("--wait", flags->wait, "Until it is DRAINED: the last connection has ended");
  drain->add_flag("--validate-only", flags->validate_only, "Check everything, change nothing");
  drain->callback([flags, &command] { command = [flags](const Options& options) { return Drain(*flags, options); }; });

  CLI::App* resume = vm.add_subcommand("resume", "End the drain of a VM");
  auto name = std::make_shared<std::string>();
  resume->add_option("NAME", *name, "Which VM")->required();
  resume->callback([name, &command] { command = [name](const Options& options) { return Resume(*name, options); }; });

  CLI::App* reset = vm.add_subcommand("reset", "End all connections of a VM, and have its guest forget them");
  auto what = std::make_shared<ResetFlags>();
  reset->add_option("NAME", what->name, "Which VM")->required();
  CLI::Option* new_cid =
      reset
          ->add_option("--new-cid", what->new_cid,
                       "Another CID for it. Its guest learns of it by the reset, or, under QEMU, by a reboot")
          ->option_text(kCidText);
  reset->add_flag("--sticky-cid", what->sticky_cid, "Rather the one that it had before")->needs(new_cid);
  reset->add_flag("--validate-only", what->validate_only, "Check everything, change nothing");
  reset->callback([what, &command] { command = [what](const Options& options) { return Reset(*what, options); }; });
}

}  // namespace kinsock
