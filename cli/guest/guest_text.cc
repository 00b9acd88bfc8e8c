// SPDX-License-Identifier: Apache-2.0
#include "cli/guest/guest_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/guest/guest_port.h"
#include "cli/text/shell_word.h"
#include "cli/text/socat_path.h"

namespace kinsock {
namespace {

// ssh replaces %-sequences and hands the rest to a shell: %n is the host as it was typed, %p the port.
std::string ProxyCommand(const std::vector<std::string>& command) {
  const std::string line =
      absl::StrJoin(command, " ", [](std::string* out, const std::string& word) { *out += ShellWord(word); });
  return absl::StrCat(absl::StrReplaceAll(line, {{"%", "%%"}}), " proxy --fdpass %n %p");
}

}  // namespace

std::string SocatConnectLine(const std::string& uds_path, uint32_t port) {
  return absl::StrCat("{ echo CONNECT ", port, "; cat; } | socat - ",
                      ShellWord(absl::StrCat("UNIX-CONNECT:", SocatPath(uds_path))), "\n");
}

std::string SocatListenLine(const std::string& uds_path, uint32_t port) {
  return absl::StrCat("socat - ", ShellWord(absl::StrCat("UNIX-LISTEN:", SocatPath(uds_path), "_", port, ",mode=0666")),
                      "\n");
}

std::string SshConfig(const std::vector<std::string>& vms, const std::vector<std::string>& command) {
  const std::string how = absl::StrCat("    ProxyCommand ", ProxyCommand(command), "\n    ProxyUseFdpass yes\n");
  if (vms.empty()) return absl::StrCat("Host *", kSshDomain, "\n", how);
  std::string config;
  for (const std::string& vm : vms) {
    absl::StrAppend(&config, "Host ", vm, " ", vm, kSshDomain, "\n    HostKeyAlias ", vm, kSshDomain, "\n", how);
  }
  return config;
}

std::vector<std::string> SshOptions(const std::vector<std::string>& command) {
  return {"-o", absl::StrCat("ProxyCommand=", ProxyCommand(command)), "-o", "ProxyUseFdpass=yes"};
}

}  // namespace kinsock
