// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/flags/choice.h"
#include "cli/text/output.h"
#include "cli/view/vm_view.h"
#include "cli/view/vmm_args.h"

namespace kinsock {
namespace {

struct VmmArgsFlags {
  std::string name;
  std::string vmm = "qemu";
  std::string memory = "256M";
};

ExitCode VmmArgs(const VmmArgsFlags& flags, const Options& options) {
  if (!IsMemorySize(flags.memory)) {
    std::fprintf(stderr, "kinsockctl: --mem: \"%s\" is not a size; write 256M or 4G\n", flags.memory.c_str());
    return kExitUsage;
  }
  Client client(options);
  v1::GetVmRequest request;
  request.set_name(FullVmName(flags.name));
  v1::Vm vm;
  const grpc::Status status = Ask(client, client.vms(), &v1::VmService::Stub::GetVm, request, vm);
  if (!status.ok()) return client.Report(status);
  static const auto& writers = *new std::map<std::string, std::string (*)(const v1::Vm&, const std::string&)>{
      {"qemu", QemuArguments},
      {"crosvm", CrosvmArguments},
      {"cloud-hypervisor", CloudHypervisorArguments},
      {"libvirt", LibvirtElements}};
  Print(writers.at(flags.vmm)(vm, flags.memory));
  const std::string missing = WhatMayNotBePassed(vm, flags.vmm);
  if (!missing.empty()) std::fprintf(stderr, "kinsockctl: note: %s\n", missing.c_str());
  return kExitOk;
}

}  // namespace

void DeclareVmmArgs(CLI::App& app, Command& command) {
  CLI::App* args = app.add_subcommand("vmm-args", "Print the arguments with which a VMM uses a VM's device");
  auto flags = std::make_shared<VmmArgsFlags>();
  args->add_option("VM", flags->name, "Which VM")->required();
  args->add_option("--vmm", flags->vmm, "Which VMM (qemu); for libvirt, elements of its XML")
      ->check(OneOf({"qemu", "crosvm", "cloud-hypervisor", "libvirt"}))
      ->option_text("qemu|crosvm|cloud-hypervisor|libvirt");
  args->add_option("--mem", flags->memory, "The guest's memory (256M)")->option_text("SIZE");
  args->footer(
      "Examples:\n  kinsockctl vmm-args web --mem 4G          # what to put behind qemu-system-x86_64\n"
      "  kinsockctl vmm-args web --vmm libvirt    # what to put into the domain's XML");
  args->callback([flags, &command] { command = [flags](const Options& options) { return VmmArgs(*flags, options); }; });
}

}  // namespace kinsock
