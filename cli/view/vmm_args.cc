// SPDX-License-Identifier: Apache-2.0
#include "cli/view/vmm_args.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/text/shell_word.h"

namespace kinsock {
namespace {

constexpr uint32_t kDefaultQueueSize = 1024;
// virtio 1.3, 5.10.1: "socket device".
constexpr int kVirtioIdVsock = 19;

// The value of QEMU's -chardev. QEMU splits options at commas; a comma in a value is written twice.
std::string QemuChardev(const v1::Vm& vm) {
  return absl::StrCat("socket,id=kinsock0,path=", absl::StrReplaceAll(vm.status().vhost_user_socket(), {{",", ",,"}}));
}

// At least one MiB: a smaller guest does not boot.
uint64_t Mebibytes(const std::string& memory) {
  uint64_t number = 0;
  std::string_view digits = memory;
  int shift = 20;  // as QEMU: without a letter it is MiB
  if (const auto unit = std::string_view("KMGT").find(absl::ascii_toupper(static_cast<unsigned char>(memory.back())));
      unit != std::string_view::npos) {
    digits.remove_suffix(1);
    shift = static_cast<int>(unit + 1) * 10;
  }
  if (!absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &number)) return 0;
  return std::max<uint64_t>(1, shift >= 20 ? number << (shift - 20) : number >> 10);
}

std::string XmlText(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&apos;"}});
}

// Where systemd in the guest is to tell when it has started up (systemd.system-credentials(7), vmm.notify_socket);
// empty: nowhere. No character of it means anything to a VMM's command line.
std::string NotifySocket(const v1::Vm& vm) {
  const uint32_t port = vm.spec().readiness().sd_notify_port();
  if (port == 0) return "";
  // By itself it takes SEQPACKET, and falls back to STREAM only in a kernel that has no such sockets.
  const bool seqpacket = !vm.spec().has_allow_seqpacket() || vm.spec().allow_seqpacket();
  return absl::StrCat(seqpacket ? "vsock:2:" : "vsock-stream:2:", port);
}

// The same as one of the "OEM strings" of SMBIOS, among which systemd looks for it.
std::string NotifyString(const v1::Vm& vm) {
  const std::string socket = NotifySocket(vm);
  return socket.empty() ? "" : absl::StrCat("io.systemd.credential:vmm.notify_socket=", socket);
}

// `before`, the string and `after`; nothing without one.
std::string Notify(const v1::Vm& vm, const char* before, const char* after = "") {
  const std::string string = NotifyString(vm);
  return string.empty() ? "" : absl::StrCat(before, string, after);
}

}  // namespace

std::string QemuArguments(const v1::Vm& vm, const std::string& memory) {
  return absl::StrCat("-object memory-backend-memfd,id=mem0,size=", memory,
                      ",share=on -machine memory-backend=mem0 -chardev ", ShellWord(QemuChardev(vm)),
                      " -device vhost-user-vsock-pci,chardev=kinsock0", Notify(vm, " -smbios type=11,value="), "\n");
}

std::string CrosvmArguments(const v1::Vm& vm, const std::string& memory) {
  return absl::StrCat("--mem size=", Mebibytes(memory), " --vhost-user ",
                      ShellWord(absl::StrCat("vsock,socket=\"", vm.status().vhost_user_socket(), "\"")),
                      Notify(vm, " --smbios 'oem-strings=[\"", "\"]'"), "\n");
}

std::string CloudHypervisorArguments(const v1::Vm& vm, const std::string& memory) {
  const uint32_t size = vm.spec().queue_size() == 0 ? kDefaultQueueSize : vm.spec().queue_size();
  // Receive, transmit, events.
  const std::string device =
      absl::StrCat("socket=\"", absl::StrReplaceAll(vm.status().vhost_user_socket(), {{"\"", "\"\""}}),
                   "\",virtio_id=", kVirtioIdVsock, ",queue_sizes=[", size, ",", size, ",", size, "]");
  return absl::StrCat("--memory size=", Mebibytes(memory), "M,shared=on --generic-vhost-user ", ShellWord(device),
                      Notify(vm, " --platform 'oem_strings=[", "]'"), "\n");
}

std::string LibvirtElements(const v1::Vm& vm, const std::string& memory) {
  return absl::StrCat(
      "<!-- into <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>, without a <vsock> "
      "device -->\n"
      "<memory unit='MiB'>",
      Mebibytes(memory),
      "</memory>\n"
      "<memoryBacking>\n"
      "  <source type='memfd'/>\n"
      "  <access mode='shared'/>\n"
      "</memoryBacking>\n"
      "<qemu:commandline>\n"
      "  <qemu:arg value='-chardev'/>\n"
      "  <qemu:arg value='",
      XmlText(QemuChardev(vm)),
      "'/>\n"
      "  <qemu:arg value='-device'/>\n"
      "  <qemu:arg value='vhost-user-vsock-pci,chardev=kinsock0'/>\n",
      Notify(vm, "  <qemu:arg value='-smbios'/>\n  <qemu:arg value='type=11,value=", "'/>\n"), "</qemu:commandline>\n");
}

std::string WhatMayNotBePassed(const v1::Vm& vm, const std::string& vmm) {
  if (NotifySocket(vm).empty() || (vmm != "crosvm" && vmm != "cloud-hypervisor")) return "";
  return absl::StrCat(
      vmm, " passes where systemd in the guest tells that it is ready to guests of x86-64 only; ",
      "to others pass on the kernel's command line: systemd.set_credential=vmm.notify_socket:", NotifySocket(vm));
}

bool IsMemorySize(const std::string& memory) {
  std::string_view digits = memory;
  if (!digits.empty() && std::string_view("KMGTkmgt").find(digits.back()) != std::string_view::npos) {
    digits.remove_suffix(1);
  }
  return !digits.empty() && digits.size() <= 12 && digits.front() != '0' &&
         std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

}  // namespace kinsock
