#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

// What Swift cannot call or read: a variadic function, the members of unions, macros that cast, and types of the
// system that it finds in more than one module.

static inline amqp_rpc_reply_t holdfast_amqp_login(amqp_connection_state_t connection, const char *vhost,
                                                   const char *user, const char *password) {
    // No heart-beats: the client answers them only while it is asked something.
    return amqp_login(connection, vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN, user, password);
}

enum holdfast_amqp_event {
    HOLDFAST_AMQP_OTHER,
    HOLDFAST_AMQP_ACK,
    HOLDFAST_AMQP_NACK,
    HOLDFAST_AMQP_RETURN,
    HOLDFAST_AMQP_CLOSE
};

// What a frame says to who waits for confirmations.
struct holdfast_amqp_news {
    enum holdfast_amqp_event event;
    // Of ACK and NACK.
    uint64_t tag;
    int multiple;
    // Of RETURN and CLOSE. The text lives as long as the frame's buffers.
    int code;
    amqp_bytes_t text;
};

static inline struct holdfast_amqp_news holdfast_amqp_close(int code, amqp_bytes_t text) {
    struct holdfast_amqp_news news = {HOLDFAST_AMQP_CLOSE, 0, 0, code, text};
    return news;
}

static inline struct holdfast_amqp_news holdfast_amqp_method_news(amqp_method_t method) {
    struct holdfast_amqp_news news = {HOLDFAST_AMQP_OTHER, 0, 0, 0, {0, NULL}};
    switch (method.id) {
        case AMQP_BASIC_ACK_METHOD: {
            const amqp_basic_ack_t *ack = (const amqp_basic_ack_t *)method.decoded;
            news.event = HOLDFAST_AMQP_ACK;
            news.tag = ack->delivery_tag;
            news.multiple = ack->multiple;
            break;
        }
        case AMQP_BASIC_NACK_METHOD: {
            const amqp_basic_nack_t *nack = (const amqp_basic_nack_t *)method.decoded;
            news.event = HOLDFAST_AMQP_NACK;
            news.tag = nack->delivery_tag;
            news.multiple = nack->multiple;
            break;
        }
        case AMQP_BASIC_RETURN_METHOD: {
            const amqp_basic_return_t *returned = (const amqp_basic_return_t *)method.decoded;
            news.event = HOLDFAST_AMQP_RETURN;
            news.code = returned->reply_code;
            news.text = returned->reply_text;
            break;
        }
        case AMQP_CHANNEL_CLOSE_METHOD: {
            const amqp_channel_close_t *closed = (const amqp_channel_close_t *)method.decoded;
            return holdfast_amqp_close(closed->reply_code, closed->reply_text);
        }
        case AMQP_CONNECTION_CLOSE_METHOD: {
            const amqp_connection_close_t *closed = (const amqp_connection_close_t *)method.decoded;
            return holdfast_amqp_close(closed->reply_code, closed->reply_text);
        }
    }
    return news;
}

static inline struct holdfast_amqp_news holdfast_amqp_frame_news(const amqp_frame_t *frame) {
    if (frame->frame_type == AMQP_FRAME_METHOD) return holdfast_amqp_method_news(frame->payload.method);
    struct holdfast_amqp_news news = {HOLDFAST_AMQP_OTHER, 0, 0, 0, {0, NULL}};
    return news;
}

static inline int holdfast_amqp_publish(amqp_connection_state_t connection, const char *exchange,
                                        const char *routing_key, const char *id, const char *type,
                                        const void *body, size_t length) {
    amqp_basic_properties_t properties;
    memset(&properties, 0, sizeof properties);
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                        AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_APP_ID_FLAG;
    properties.content_type = amqp_cstring_bytes("application/json");
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    properties.message_id = amqp_cstring_bytes(id);
    properties.type = amqp_cstring_bytes(type);
    properties.app_id = amqp_cstring_bytes("Holdfast");
    amqp_bytes_t bytes = {length, (void *)body};
    return amqp_basic_publish(connection, 1, amqp_cstring_bytes(exchange), amqp_cstring_bytes(routing_key),
                              /* mandatory */ 1, /* immediate */ 0, &properties, bytes);
}

static inline struct timeval holdfast_amqp_time(int milliseconds) {
    struct timeval time = {milliseconds / 1000, milliseconds % 1000 * 1000};
    return time;
}

// Lets the kernel give up on a peer that takes nothing: the client itself waits without an end when it sends.
static inline int holdfast_amqp_limit_sending(amqp_connection_state_t connection, unsigned milliseconds) {
    return setsockopt(amqp_get_sockfd(connection), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds,
                      sizeof milliseconds);
}
