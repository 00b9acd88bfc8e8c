// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/flags/choice.h"
#include "cli/process/capture_file.h"
#include "cli/process/interruption.h"
#include "cli/text/duration.h"

namespace kinsock {
namespace {

// A packet's headers, and the longest one (CaptureRequest.snap_length).
constexpr uint32_t kLeastSnapLength = 76;
constexpr uint32_t kMostSnapLength = 65612;

struct CaptureFlags {
  std::string file = "-";
  std::string filter;
  std::vector<std::string> vms;
  uint32_t snap_length = 0;
  uint64_t count = 0;
  std::string duration;
  v1::CaptureRequest::Format format = v1::CaptureRequest::PCAPNG;
  bool payload = false;
};

v1::CaptureRequest ToRequest(const CaptureFlags& flags) {
  v1::CaptureRequest request;
  std::string filter = flags.filter;
  if (!flags.vms.empty()) absl::StrAppend(&filter, filter.empty() ? "" : " ", "vm=", absl::StrJoin(flags.vms, ","));
  request.set_filter(filter);
  request.set_snap_length(flags.snap_length);
  request.set_max_packets(flags.count);
  request.set_format(flags.format);
  request.set_payload(flags.payload);
  return request;
}

ExitCode CannotWrite(const CaptureFlags& flags, int error) {
  std::fprintf(stderr, "kinsockctl: %s: %s\n", flags.file == "-" ? "standard output" : flags.file.c_str(),
               strerror(error));
  return kExitError;
}

ExitCode Capture(const CaptureFlags& flags, const Options& options) {
  v1::CaptureRequest request = ToRequest(flags);
  if (!flags.duration.empty()) {
    const std::optional<std::chrono::milliseconds> duration = ParseDuration(flags.duration);
    if (!duration.has_value()) {
      std::fprintf(stderr, "kinsockctl: --duration: \"%s\" is not a time; write 30s, 500ms or 2m\n",
                   flags.duration.c_str());
      return kExitUsage;
    }
    SetDuration(*duration, *request.mutable_duration());
  }
  const bool to_output = flags.file == "-";
  if (to_output && isatty(STDOUT_FILENO) != 0) {
    std::fprintf(stderr,
                 "kinsockctl: a capture file is not for a terminal; name one with -w FILE, or give it to a program, as "
                 "with: kinsockctl capture -w - | tshark -r -\n");
    return kExitUsage;
  }
  grpc::ClientContext context;
  Interruption interruption(to_output ? STDOUT_FILENO : -1, [&context] { context.TryCancel(); });
  Client client(options);
  if (options.timeout.has_value()) client.SetDeadline(context, kQuestionTimeout);
  CaptureFile file(flags.file);
  const auto stream = client.connections().Capture(&context, request);
  v1::CaptureChunk chunk;
  int error = 0;
  bool begun = false;
  while (error == 0 && stream->Read(&chunk)) {
    begun = true;
    error = file.Add(chunk);
  }
  if (error != 0) context.TryCancel();
  const grpc::Status status = stream->Finish();
  if (begun) file.Summarize();
  // Who reads us has seen enough: that is an end like another.
  if (error == EPIPE && to_output) return kExitOk;
  if (error != 0) return CannotWrite(flags, error);
  return interruption.happened() ? kExitOk : client.Report(status);
}

}  // namespace

void DeclareCapture(CLI::App& app, Command& command) {
  CLI::App* capture = app.add_subcommand("capture", "Write the packets that go through the daemon into a capture file");
  auto flags = std::make_shared<CaptureFlags>();
  capture->add_option("-w,--write", flags->file, "The file; -, the default, is standard output, for tshark -r -")
      ->option_text("FILE");
  capture
      ->add_option(
          "--filter", flags->filter,
          "Which packets: KEY=VALUE[,VALUE...] or KEY!=VALUE..., all of which must hold; keys are vm, network, "
          "direction, op, cid, src_cid, dst_cid, port, src_port, dst_port (docs/cli.md)")
      ->option_text("TERMS");
  capture->add_option("--vm", flags->vms, "Only what this VM sends and is given (may be repeated)")
      ->allow_extra_args(false)
      ->option_text("VM");
  capture->add_option("-s,--snap-length", flags->snap_length, "Bytes of each packet, its 76 of headers included (all)")
      ->check(CLI::Range(kLeastSnapLength, kMostSnapLength))
      ->option_text("N");
  capture->add_option("-c,--count", flags->count, "End after so many packets")->option_text("N");
  capture->add_option("--duration", flags->duration, "End after this time")->option_text("TIME");
  AddChoice<v1::CaptureRequest::Format>(
      *capture, "--format", flags->format, {{"pcapng", v1::CaptureRequest::PCAPNG}, {"pcap", v1::CaptureRequest::PCAP}},
      "pcapng, with an interface for each VM and direction, and what was lost; or pcap");
  capture->add_flag("--payload", flags->payload,
                    "With what is said; for admins, if the daemon's configuration allows it");
  capture->callback(
      [flags, &command] { command = [flags](const Options& options) { return Capture(*flags, options); }; });
}

}  // namespace kinsock
