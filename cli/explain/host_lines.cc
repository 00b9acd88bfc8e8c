// SPDX-License-Identifier: Apache-2.0
#include "cli/explain/host_lines.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/text/shell_word.h"
#include "cli/text/socat_path.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

// VMADDR_CID_LOCAL: a program of the host calls there what its own AF_VSOCK listens on.
constexpr uint32_t kLocalCid = 1;

// "<runtime dir>" of a daemon that made "<runtime dir>/vms/web/vhost.sock": that directory goes with the VM.
std::string DirectoryOf(const v1::Vm& vm) {
  const std::string& socket = vm.status().vhost_user_socket();
  if (socket.rfind('/') == std::string::npos) return "%t/kinsock";
  const std::string directory = socket.substr(0, socket.rfind('/'));
  return std::string(absl::StripSuffix(directory, absl::StrCat("/vms/", ShortVmName(vm.name()))));
}

}  // namespace

bool ListensOnVsock(const v1::Vm& vm, uint32_t port) {
  const auto& ports = vm.spec().vsock_proxy().listen_ports();
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

std::string ForwardLine(const v1::Vm& vm, uint32_t port, bool to_guest) {
  const std::string name = ShortVmName(vm.name()), id = absl::StrCat(name, "-", port);
  return absl::StrCat("kinsockctl forward create ", id, " ", name, ":", port, to_guest ? " --listen " : " --target ",
                      ShellWord(absl::StrCat("unix:", DirectoryOf(vm), "/", id, ".sock")));
}

std::string LineWithoutSocket(const v1::Vm& vm, uint32_t port, bool to_guest) {
  if (to_guest && ListensOnVsock(vm, port)) return CallLine(vm, port, std::nullopt);
  if (!to_guest && vm.spec().vsock_proxy().forward_cid() == kLocalCid) {
    return absl::StrCat("socat - VSOCK-LISTEN:", port);
  }
  return ForwardLine(vm, port, to_guest);
}

std::string CallLine(const v1::Vm& vm, uint32_t port, const std::optional<v1::Forward>& forward) {
  if (!forward.has_value() && vm.spec().has_vsock_proxy()) {
    return absl::StrCat("socat - VSOCK-CONNECT:", kLocalCid, ":", port);
  }
  if (!forward.has_value()) return absl::StrCat("kinsockctl connect ", ShortVmName(vm.name()), " ", port);
  absl::string_view address = forward->listen();
  if (absl::ConsumePrefix(&address, "tcp:")) {
    return absl::StrCat("socat - ", ShellWord(absl::StrCat("TCP:", address)));
  }
  absl::ConsumePrefix(&address, "unix:");
  return absl::StrCat("socat - ", ShellWord("UNIX-CONNECT:" + SocatPath(std::string(address))));
}

}  // namespace kinsock
