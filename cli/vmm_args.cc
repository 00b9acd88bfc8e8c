// SPDX-License-Identifier: Apache-2.0
#include "cli/vmm_args.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace kinsock {
namespace {

// One word for a POSIX shell.
std::string ShellWord(const std::string& word) {
  const bool plain = std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           std::string_view("/-_.,=:+@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  return plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

// Has systemd in the guest tell when it has started up (systemd.system-credentials(7), vmm.notify_socket).
std::string NotifyArguments(const v1::Vm& vm) {
  const uint32_t port = vm.spec().readiness().sd_notify_port();
  if (port == 0) return "";
  // By itself it takes SEQPACKET, and falls back to STREAM only in a kernel that has no such sockets.
  const bool seqpacket = !vm.spec().has_allow_seqpacket() || vm.spec().allow_seqpacket();
  return absl::StrCat(" -smbios type=11,value=io.systemd.credential:vmm.notify_socket=",
                      seqpacket ? "vsock:2:" : "vsock-stream:2:", port);
}

}  // namespace

std::string QemuArguments(const v1::Vm& vm, const std::string& memory) {
  // QEMU splits options at commas; a comma in a value is written twice.
  const std::string path = absl::StrReplaceAll(vm.status().vhost_user_socket(), {{",", ",,"}});
  return absl::StrCat("-object memory-backend-memfd,id=mem0,size=", memory,
                      ",share=on -machine memory-backend=mem0 -chardev ",
                      ShellWord(absl::StrCat("socket,id=kinsock0,path=", path)),
                      " -device vhost-user-vsock-pci,chardev=kinsock0", NotifyArguments(vm), "\n");
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
