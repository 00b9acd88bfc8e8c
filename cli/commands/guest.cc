// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "cli/call/client.h"
#include "cli/call/same_daemon.h"
#include "cli/commands/commands.h"
#include "cli/flags/port_check.h"
#include "cli/guest/guest_port.h"
#include "cli/guest/guest_text.h"
#include "cli/guest/relay.h"
#include "cli/text/output.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

struct PortFlags {
  std::string vm;
  uint32_t port = 0;
  bool fdpass = false;
  bool listen = false;
};

// Standard input and output become the connection.
ExitCode RelayStdio(UniqueFd socket) {
  const int error = Relay(STDIN_FILENO, UniqueFd(STDOUT_FILENO), std::move(socket));
  if (error == 0) return kExitOk;
  std::fprintf(stderr, "kinsockctl: the connection broke: %s\n  try: %s\n", strerror(error),
               SameDaemon("kinsockctl conn list --closed").c_str());
  return kExitError;
}

// Gives `socket` to who is at the other end of standard output (ssh_config(5), ProxyUseFdpass).
ExitCode PassSocket(const UniqueFd& socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = socket.get();
  memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  if (sendmsg(STDOUT_FILENO, &message, MSG_NOSIGNAL) == 1) return kExitOk;
  std::fprintf(stderr, "kinsockctl: who asked for the connection does not take it: %s\n", strerror(errno));
  return kExitError;
}

bool IsSocket(int fd) {
  struct stat found;
  return fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode);
}

ExitCode Dial(const PortFlags& flags, const Options& options) {
  if (flags.fdpass && !IsSocket(STDOUT_FILENO)) {
    std::fprintf(stderr,
                 "kinsockctl: --fdpass: standard output is no socket that takes a descriptor, as ssh's is; "
                 "kinsockctl ssh-config makes ssh do this, kinsockctl connect needs no socket\n");
    return kExitUsage;
  }
  Client client(options);
  v1::Vm vm;
  UniqueFd socket;
  if (const ExitCode code = FindHybridVm(client, flags.vm, flags.port, true, vm); code != kExitOk) return code;
  const auto timeout = options.timeout.value_or(kQuestionTimeout);
  if (const ExitCode code = DialGuest(client, vm, flags.port, timeout, socket); code != kExitOk) return code;
  return flags.fdpass ? PassSocket(socket) : RelayStdio(std::move(socket));
}

ExitCode Listen(const PortFlags& flags, const Options& options) {
  Client client(options);
  v1::Vm vm;
  UniqueFd socket;
  if (const ExitCode code = FindHybridVm(client, flags.vm, flags.port, false, vm); code != kExitOk) return code;
  if (const ExitCode code = AcceptFromGuest(vm, flags.port, socket); code != kExitOk) return code;
  return RelayStdio(std::move(socket));
}

ExitCode Socat(const PortFlags& flags, const Options& options) {
  Client client(options);
  v1::Vm vm;
  const bool to_guest = !flags.listen;
  if (const ExitCode code = FindHybridVm(client, flags.vm, flags.port, to_guest, vm); code != kExitOk) return code;
  const std::string& path = vm.status().uds_path();
  Print(flags.listen ? SocatListenLine(path, flags.port) : SocatConnectLine(path, flags.port));
  return kExitOk;
}

// `what` is run with the flags of the command that this declares.
std::pair<CLI::App*, std::shared_ptr<PortFlags>> Declare(CLI::App& app, Command& command, const char* name,
                                                         const char* help,
                                                         ExitCode (*what)(const PortFlags&, const Options&)) {
  CLI::App* declared = app.add_subcommand(name, help);
  auto flags = std::make_shared<PortFlags>();
  declared->add_option("VM", flags->vm, "Which VM")->required();
  declared->add_option("PORT", flags->port, "Of the guest; of the host for what listens")->required()->check(PortFault);
  declared->callback(
      [flags, what, &command] { command = [flags, what](const Options& options) { return what(*flags, options); }; });
  return {declared, flags};
}

}  // namespace

void DeclareGuestCommands(CLI::App& app, Command& command) {
  Declare(app, command, "connect", "Connect standard input and output to a port of a guest", Dial)
      .first->footer("Example:\n  echo hello | kinsockctl connect web 5000");
  Declare(app, command, "listen", "Wait for one connection of a guest to a port of the host, and be it on stdio",
          Listen)
      .first->footer("Example:\n  kinsockctl listen web 9000 >log   # in the guest: socat - VSOCK-CONNECT:2:9000");
  const auto [proxy, flags] =
      Declare(app, command, "proxy", "As connect, for ssh's ProxyCommand; the VM may be called NAME.kinsock", Dial);
  proxy->add_flag("--fdpass", flags->fdpass, "Give the connection to ssh and end (ProxyUseFdpass)");
  const auto [socat, what] =
      Declare(app, command, "socat", "Print the socat command that connects to a port of a guest", Socat);
  socat->add_flag("--listen", what->listen, "The one that waits for a guest's connection to that port of the host");
}

}  // namespace kinsock
