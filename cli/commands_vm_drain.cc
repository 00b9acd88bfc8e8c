// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/output.h"
#include "cli/vm_view.h"

namespace kinsock {
namespace {

constexpr std::chrono::seconds kChangeTimeout{30};

struct DrainFlags {
  std::string name;
  std::string reset_after;
  bool validate_only = false;
};

ExitCode Drain(const DrainFlags& flags, const Options& options) {
  v1::DrainVmRequest request;
  request.set_name(FullVmName(flags.name));
  request.set_validate_only(flags.validate_only);
  if (!flags.reset_after.empty()) {
    const std::optional<std::chrono::milliseconds> after = ParseDuration(flags.reset_after);
    if (!after.has_value()) {
      std::fprintf(stderr, "kinsockctl: --reset-after: \"%s\" is not a time; write 30s, 500ms or 2m\n",
                   flags.reset_after.c_str());
      return kExitUsage;
    }
    request.set_reset_remaining(true);
    SetDuration(*after, *request.mutable_deadline());
  }
  Client client(options);
  grpc::ClientContext context;
  client.SetDeadline(context, kChangeTimeout);
  v1::Vm vm;
  const grpc::Status status = client.vms().DrainVm(&context, request, &vm);
  if (!status.ok()) return client.Report(status);
  Print(RenderVm(vm, options));
  return kExitOk;
}

// A method that needs no more than a name.
template <typename Request>
ExitCode CallWithName(const std::string& name, const Options& options,
                      grpc::Status (v1::VmService::Stub::*method)(grpc::ClientContext*, const Request&, v1::Vm*)) {
  Request request;
  request.set_name(FullVmName(name));
  Client client(options);
  grpc::ClientContext context;
  client.SetDeadline(context, kChangeTimeout);
  v1::Vm vm;
  const grpc::Status status = (client.vms().*method)(&context, request, &vm);
  if (!status.ok()) return client.Report(status);
  Print(RenderVm(vm, options));
  return kExitOk;
}

}  // namespace

void DeclareVmDrainCommands(CLI::App& vm, Command& command) {
  CLI::App* drain =
      vm.add_subcommand("drain", "No new connections of a VM, in either direction; those it has may finish");
  auto flags = std::make_shared<DrainFlags>();
  drain->add_option("NAME", flags->name)->required();
  drain->add_option("--reset-after", flags->reset_after, "Reset what is left after this; without it, never")
      ->option_text("30s|500ms|2m");
  drain->add_flag("--validate-only", flags->validate_only, "Check everything, change nothing");
  drain->callback([flags, &command] { command = [flags](const Options& options) { return Drain(*flags, options); }; });

  CLI::App* resume = vm.add_subcommand("resume", "End the drain of a VM");
  auto name = std::make_shared<std::string>();
  resume->add_option("NAME", *name)->required();
  resume->callback([name, &command] {
    command = [name](const Options& options) { return CallWithName(*name, options, &v1::VmService::Stub::ResumeVm); };
  });

  CLI::App* reset = vm.add_subcommand("reset", "End all connections of a VM, and have its guest forget them");
  auto victim = std::make_shared<std::string>();
  reset->add_option("NAME", *victim)->required();
  reset->callback([victim, &command] {
    command = [victim](const Options& options) {
      return CallWithName(*victim, options, &v1::VmService::Stub::ResetVm);
    };
  });
}

}  // namespace kinsock
