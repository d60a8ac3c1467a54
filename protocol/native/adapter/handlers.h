#pragma once

#include "protocol/native/adapter/session_core.h"

namespace tidemark::native {

/// Decodes the request, calls the engine, and sees to it that the slot is answered. An error, which the caller answers with, ends the
/// connection.
Status dispatch(SessionCore& session, const FrameHeader& header, const Slice& frame, const SessionCore::Slot& slot);

/// Credit has no reply. Errors: protocol_error.
Status handle_credit(SessionCore& session, ByteView message);

}  // namespace tidemark::native
