// SPDX-License-Identifier: Apache-2.0
#include "cli/guest_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/guest_port.h"
#include "cli/shell_word.h"

namespace kinsock {
namespace {

// socat splits addresses at colons and commas and takes quotes off.
std::string SocatPath(const std::string& path) {
  return absl::StrReplaceAll(path,
                             {{"\\", "\\\\"}, {":", "\\:"}, {",", "\\,"}, {"!", "\\!"}, {"'", "\\'"}, {"\"", "\\\""}});
}

// ssh replaces %-sequences and hands the rest to a shell: %n is the host as it was typed, %p the port.
std::string ProxyCommand(const std::string& program) {
  return absl::StrCat(absl::StrReplaceAll(ShellWord(program), {{"%", "%%"}}), " proxy --fdpass %n %p");
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

std::string SshConfig(const std::vector<std::string>& vms, const std::string& program) {
  std::string hosts;
  for (const std::string& vm : vms) absl::StrAppend(&hosts, " ", vm, " ", vm, kSshDomain);
  if (vms.empty()) hosts = absl::StrCat(" *", kSshDomain);
  return absl::StrCat("Host", hosts, "\n    ProxyCommand ", ProxyCommand(program), "\n    ProxyUseFdpass yes\n");
}

std::vector<std::string> SshOptions(const std::string& program) {
  return {"-o", absl::StrCat("ProxyCommand=", ProxyCommand(program)), "-o", "ProxyUseFdpass=yes"};
}

}  // namespace kinsock
