#pragma once

#include "protocol/native/adapter/session_core.h"

namespace tidemark::native {

/// Decodes the request, calls the engine, and sees to it that the slot is answered. An error, which the caller answers with, ends the
/// connection.
Status dispatch(SessionCore& session, const FrameHeader& header, const Slice& frame, const SessionCore::Slot& slot);

/// Frames without a reply.
bool is_one_way(FrameType type);
/// Errors: protocol_error, frame_too_large.
Status handle_one_way(SessionCore& session, FrameType type, ByteView message);

}  // namespace tidemark::native
