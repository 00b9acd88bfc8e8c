// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>

#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/text/output.h"
#include "cli/view/event_view.h"

namespace kinsock {
namespace {

struct EventFlags {
  bool follow = false;
  std::string since;
};

ExitCode Events(const EventFlags& flags, const Options& options) {
  Client client(options);
  grpc::ClientContext context;
  if (options.timeout.has_value() || !flags.follow) client.SetDeadline(context, kQuestionTimeout);
  v1::WatchRequest request;
  request.set_resource_version(flags.since);
  const auto stream = client.admin().WatchEvents(&context, request);
  v1::Event event;
  bool all = false;
  while (!all && stream->Read(&event)) {
    all = !flags.follow && event.type() == v1::Event::SYNCED;
    if (!all) Print(RenderEvent(event, options));
    if (all || std::ferror(stdout) != 0) context.TryCancel();  // enough, or nobody reads us
  }
  const grpc::Status status = stream->Finish();
  return all ? kExitOk : client.Report(status);
}

}  // namespace

void DeclareEvents(CLI::App& app, Command& command) {
  CLI::App* events = app.add_subcommand("events", "Show what has happened: VMs, changes by the API, denials");
  auto flags = std::make_shared<EventFlags>();
  CLI::Option* follow = events->add_flag("-f,--follow", flags->follow, "Then what happens, as it happens");
  events->add_option("--since", flags->since, "Only what came after this \"resourceVersion\" of an event")
      ->needs(follow)
      ->option_text("VERSION");
  events->footer(
      "Examples:\n  kinsockctl events -f\n  kinsockctl events -o jsonl | jq -r 'select(.type == \"DENIAL\")'");
  events->callback(
      [flags, &command] { command = [flags](const Options& options) { return Events(*flags, options); }; });
}

}  // namespace kinsock
