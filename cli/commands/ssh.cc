// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/guest/guest_port.h"
#include "cli/guest/guest_text.h"
#include "cli/text/output.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

// As shell and execvp() return it: the program is not there.
constexpr char kSsh[] = "ssh";
// Where sshd listens in guests.
constexpr uint32_t kSshPort = 22;

// This program, for another one to start.
std::string OwnProgram() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "kinsockctl" : program.string();
}

// How another program starts this one so that it finds the same daemon, in whatever environment and directory.
std::vector<std::string> OwnCommand(const Options& options) {
  std::string endpoint = options.endpoint;
  for (const char* prefix : {"ipv4:", "ipv6:"}) {
    if (absl::StartsWith(endpoint, prefix)) endpoint.replace(0, 4, "tcp");
  }
  std::vector<std::string> command{OwnProgram(), "--endpoint", endpoint};
  const auto keep = [&command](const char* flag, const std::string& value) {
    if (!value.empty()) command.insert(command.end(), {flag, value});
  };
  const auto keep_file = [&keep](const char* flag, const std::string& file) {
    std::error_code error;
    keep(flag, file.empty() ? file : std::filesystem::absolute(file, error).string());
  };
  keep_file("--tls-ca", options.tls_ca);
  keep_file("--tls-cert", options.tls_cert);
  keep_file("--tls-key", options.tls_key);
  keep("--tls-server-name", options.tls_server_name);
  return command;
}

// `destination`: [USER@]VM. `rest`: ssh's.
ExitCode Ssh(const std::string& destination, const std::vector<std::string>& rest, const Options& options) {
  const size_t at = destination.rfind('@');
  const std::string user = at == std::string::npos ? "" : destination.substr(0, at + 1);
  Client client(options);
  v1::Vm vm;
  const std::string name = destination.substr(user.size());
  if (const ExitCode code = FindHybridVm(client, name, kSshPort, true, vm); code != kExitOk) return code;
  std::vector<std::string> words{kSsh};
  for (std::string& option : SshOptions(OwnCommand(options))) words.push_back(std::move(option));
  words.push_back(absl::StrCat(user, ShortVmName(vm.name()), kSshDomain));
  words.insert(words.end(), rest.begin(), rest.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(kSsh, argv.data());
  std::fprintf(stderr, "kinsockctl: ssh cannot be started: %s\n  try: apt install openssh-client\n", strerror(errno));
  return kExitError;
}

ExitCode PrintSshConfig(const std::vector<std::string>& vms, const Options& options) {
  Client client(options);
  std::vector<std::string> names;
  for (const std::string& name : vms) {
    v1::Vm vm;
    if (const ExitCode code = FindHybridVm(client, name, kSshPort, true, vm); code != kExitOk) return code;
    names.push_back(ShortVmName(vm.name()));
  }
  Print(SshConfig(names, OwnCommand(options)));
  return kExitOk;
}

}  // namespace

void DeclareSshCommands(CLI::App& app, const std::vector<std::string>& rest, Command& command) {
  CLI::App* ssh = app.add_subcommand(
      "ssh", "Run ssh to a guest, whose sshd listens on its vsock port 22; what follows the VM is ssh's");
  auto destination = std::make_shared<std::string>();
  ssh->add_option("VM", *destination, "[USER@]VM")->required();
  ssh->footer("Examples:\n  kinsockctl ssh root@web\n  kinsockctl ssh web -o StrictHostKeyChecking=accept-new uptime");
  ssh->callback([destination, &rest, &command] {
    command = [destination, &rest](const Options& options) { return Ssh(*destination, rest, options); };
  });
  CLI::App* config = app.add_subcommand(
      "ssh-config", "Print what ~/.ssh/config needs for these VMs; without one, for all of them as NAME.kinsock");
  auto vms = std::make_shared<std::vector<std::string>>();
  config->add_option("VM", *vms, "Which VMs");
  config->footer("Example:\n  kinsockctl ssh-config >>~/.ssh/config   # then: ssh root@web.kinsock, scp, rsync, sftp");
  config->callback(
      [vms, &command] { command = [vms](const Options& options) { return PrintSshConfig(*vms, options); }; });
}

}  // namespace kinsock
