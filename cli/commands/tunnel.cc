// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/call/error_report.h"
#include "cli/call/same_daemon.h"
#include "cli/commands/commands.h"
#include "cli/flags/port_check.h"
#include "cli/guest/tunnel.h"
#include "cli/guest/tunnel_listener.h"
#include "cli/process/interruption.h"
#include "cli/view/vm_view.h"
#include "server/model/forward_address.h"

namespace kinsock {
namespace {

struct TunnelFlags {
  std::string vm;
  uint32_t port = 0;
  std::string listen;
};

ExitCode Broken(int error) {
  std::fprintf(stderr, "kinsockctl: the connection broke: %s\n  try: %s\n", strerror(error),
               SameDaemon("kinsockctl conn list --closed").c_str());
  return kExitError;
}

// What a script hears of a connection that was there and was broken off is another code than that of a refusal.
ExitCode ReportEnd(const Client& client, const TunnelOutcome& outcome) {
  const ExitCode code = client.Report(outcome.status);
  return outcome.opened && code != kExitOk && code != kExitDeadline ? kExitError : code;
}

// Standard input and output become the connection.
ExitCode CarryStdio(const v1::TunnelOpen& where, const Options& options) {
  Client client(options);
  grpc::ClientContext context;
  if (options.timeout.has_value()) client.SetDeadline(context, kQuestionTimeout);
  UniqueFd out(STDOUT_FILENO);
  const TunnelOutcome outcome =
      RunTunnel(client.connections(), context, where,
                {.in = STDIN_FILENO, .out = STDOUT_FILENO, .end_output = [&out] { out.reset(); }});
  return outcome.error != 0 ? Broken(outcome.error) : ReportEnd(client, outcome);
}

void ReportOne(const TunnelOutcome& outcome) {
  const std::string what = outcome.error != 0
                               ? absl::StrCat("kinsockctl: a connection broke: ", strerror(outcome.error), "\n")
                               : DescribeError(outcome.status, "tunnel");
  std::fputs(what.c_str(), stderr);
}

ExitCode CannotListen(const std::string& place, int error) {
  std::fprintf(stderr, "kinsockctl: --listen: %s: %s\n  try: %s\n", place.c_str(), strerror(error),
               error == EADDRINUSE ? "another place; or remove the file, if no program listens there any more"
                                   : "a place where you may make a socket");
  return error == EADDRINUSE ? kExitConflict : kExitError;
}

// Each connection to a socket of this machine becomes one of its own.
ExitCode CarryAll(const v1::TunnelOpen& where, const std::string& listen, const Options& options) {
  const absl::StatusOr<HostEndpoint> place = ParseForwardAddress(listen);
  if (!place.ok()) {
    std::fprintf(stderr, "kinsockctl: --listen: %s\n", std::string(place.status().message()).c_str());
    return kExitUsage;
  }
  TunnelListener listener(where, ReportOne);
  const Interruption interruption(-1, [&listener] { listener.Stop(); });
  Client client(options);
  // Who listens for ever should know that it will be for something.
  v1::GetVmRequest request;
  request.set_name(where.vm());
  v1::Vm vm;
  const grpc::Status found = Ask(client, client.vms(), &v1::VmService::Stub::GetVm, request, vm);
  if (!found.ok()) return client.Report(found);
  if (const int error = listener.Listen(*place); error != 0) return CannotListen(listen, error);
  const int error = listener.Serve(client.connections());
  return error != 0 ? Broken(error) : kExitOk;
}

ExitCode RunCommand(const TunnelFlags& flags, const Options& options) {
  v1::TunnelOpen where;
  where.set_vm(FullVmName(flags.vm));
  where.set_port(flags.port);
  return flags.listen.empty() ? CarryStdio(where, options) : CarryAll(where, flags.listen, options);
}

}  // namespace

void DeclareTunnel(CLI::App& app, Command& command) {
  CLI::App* tunnel = app.add_subcommand(
      "tunnel", "As connect, but through the API: also from another machine, and without a socket of the VM");
  auto flags = std::make_shared<TunnelFlags>();
  tunnel->add_option("VM", flags->vm, "Which VM")->required();
  tunnel->add_option("PORT", flags->port, "Of the guest")->required()->check(PortFault);
  tunnel
      ->add_option("--listen", flags->listen,
                   "Not standard input and output, but each connection to this socket of this machine, until Ctrl-C")
      ->option_text("unix:PATH|tcp:127.0.0.1:PORT");
  tunnel->footer(
      "Examples:\n  echo hello | kinsockctl tunnel web 5000\n"
      "  kinsockctl tunnel web 22 --listen tcp:127.0.0.1:2222");
  tunnel->callback(
      [flags, &command] { command = [flags](const Options& options) { return RunCommand(*flags, options); }; });
}

}  // namespace kinsock
