CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor character varying(24),
    actor_level character varying(16) NOT NULL,
    action character varying(32) NOT NULL,
    table_name character varying(64) NOT NULL,
    row_oid character varying(24) NOT NULL,
    source_ip character varying(45) NOT NULL
);
CREATE SEQUENCE public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_log_id_seq OWNED BY public.audit_log.id;
CREATE TABLE public.customer (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name character varying(255) NOT NULL,
    state character varying(16) NOT NULL,
    parent_customer_id bigint,
    is_reseller boolean NOT NULL,
    sip_domain character varying(255),
    sip_display_name character varying(255),
    version bigint NOT NULL,
    call_recording boolean DEFAULT false NOT NULL,
    features json DEFAULT '[]'::json NOT NULL,
    revision bigint DEFAULT '1'::bigint NOT NULL,
    CONSTRAINT ck_customer_ck_customer_state CHECK (((state)::text = ANY ((ARRAY['ACTIVE'::character varying, 'BLOCKED'::character varying, 'DELETED'::character varying])::text[])))
);
CREATE TABLE public.extension (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    customer_id bigint NOT NULL,
    employee_id bigint,
    is_primary boolean NOT NULL,
    name character varying(255) NOT NULL,
    number character varying(32) NOT NULL,
    direct_number character varying(32),
    version bigint NOT NULL,
    sip_user character varying(64),
    sip_ha1_md5 character varying(64),
    sip_ha1_sha256 character varying(64),
    sip_secret_version integer DEFAULT 1 NOT NULL,
    pin_hash character varying(255),
    hotdesk_allowed boolean DEFAULT false NOT NULL,
    uk_caller_id character varying(32),
    us_caller_id character varying(32),
    uk_phone_id integer,
    us_phone_id integer,
    mobile_number character varying(32),
    mobile_follow boolean DEFAULT false NOT NULL,
    dashboard boolean DEFAULT false NOT NULL
);
CREATE TABLE public.sip_phone (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    customer_id bigint NOT NULL,
    extension_id bigint,
    model_id bigint NOT NULL,
    product_id bigint,
    version bigint NOT NULL,
    secret_version integer NOT NULL,
    username character varying(32) NOT NULL,
    password_enc character varying(255) NOT NULL,
    device_name character varying(255),
    pbx_cluster integer NOT NULL,
    webrtc boolean NOT NULL,
    instance_id character varying(255),
    mac character varying(12),
    mac_slot integer,
    serial character varying(255),
    handset_index integer,
    handset_address character varying(255),
    ip_mode character varying(8) NOT NULL,
    ip_countries character varying(1000) NOT NULL,
    ip_address character varying(45),
    ip_policy character varying(8) NOT NULL,
    call_waiting boolean,
    dhsg boolean,
    headset_button character varying(16),
    side_panel character varying(255),
    side_panel_count integer,
    display_brightness integer,
    display_brightness_idle integer,
    display_background character varying(2000),
    display_font_color character varying(8),
    softkey_configuration_on_device boolean,
    softkey_blf_blind_transfer boolean,
    custom_config text,
    notes text,
    ringer_volume integer,
    ringer_tone character varying(24),
    vol_handset_mic integer,
    vol_handset_speaker integer,
    vol_headset_mic integer,
    vol_headset_speaker integer,
    vol_handsfree_mic integer,
    vol_handsfree_speaker integer,
    codec_hd boolean NOT NULL,
    codec_video boolean NOT NULL,
    net_dhcp boolean NOT NULL,
    net_ip character varying(45),
    net_subnet character varying(45),
    net_gateway character varying(45),
    net_dns1 character varying(45),
    net_dns2 character varying(45),
    vlan_id integer NOT NULL,
    vlan_priority integer NOT NULL,
    purchase_order_id character varying(255),
    purchase_date timestamp with time zone,
    purchase_option character varying(16),
    config_loaded_at timestamp with time zone,
    config_saved_at timestamp with time zone,
    device_token_sha256 character varying(64),
    linked_at timestamp with time zone,
    CONSTRAINT ck_sip_phone_ck_sip_phone_ip_mode CHECK (((ip_mode)::text = ANY ((ARRAY['OPEN'::character varying, 'LOCKED'::character varying, 'ROAMING'::character varying])::text[]))),
    CONSTRAINT ck_sip_phone_ck_sip_phone_mac_slot CHECK (((mac IS NULL) = (mac_slot IS NULL)))
);
CREATE VIEW public.callee_v1 AS
 SELECT customer.oid AS customer,
    extension.number AS dialled,
    'extension'::text AS kind,
    1 AS rank,
    extension.number,
    extension.name,
    extension.id AS extension_id,
    NULL::character varying(24) AS phone
   FROM (public.extension
     JOIN public.customer ON ((customer.id = extension.customer_id)))
  WHERE ((customer.state)::text = 'ACTIVE'::text)
UNION ALL
 SELECT customer.oid AS customer,
    extension.sip_user AS dialled,
    'user'::text AS kind,
    2 AS rank,
    extension.number,
    extension.name,
    extension.id AS extension_id,
    NULL::character varying(24) AS phone
   FROM (public.extension
     JOIN public.customer ON ((customer.id = extension.customer_id)))
  WHERE (((customer.state)::text = 'ACTIVE'::text) AND (extension.sip_user IS NOT NULL))
UNION ALL
 SELECT customer.oid AS customer,
    phone.username AS dialled,
    'phone'::text AS kind,
    3 AS rank,
    COALESCE(extension.number, ''::character varying) AS number,
    COALESCE(extension.name, ''::character varying) AS name,
    phone.extension_id,
    phone.oid AS phone
   FROM ((public.sip_phone phone
     JOIN public.customer ON ((customer.id = phone.customer_id)))
     LEFT JOIN public.extension ON ((extension.id = phone.extension_id)))
  WHERE ((customer.state)::text = 'ACTIVE'::text);
CREATE SEQUENCE public.customer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.customer_id_seq OWNED BY public.customer.id;
CREATE VIEW public.domain_v1 AS
 SELECT customer.sip_domain AS domain
   FROM public.customer
  WHERE ((customer.sip_domain IS NOT NULL) AND ((customer.state)::text <> 'DELETED'::text));
CREATE TABLE public.employee (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    customer_id bigint NOT NULL,
    name character varying(255) NOT NULL,
    access_level character varying(16) NOT NULL,
    state character varying(16) NOT NULL,
    version bigint NOT NULL,
    login_email character varying(255),
    password_hash character varying(255),
    ip_restriction character varying(1000),
    contact_email character varying(255),
    first_name character varying(255),
    last_name character varying(255),
    title character varying(255),
    department character varying(255),
    company_name character varying(255),
    office_name character varying(255),
    revision bigint DEFAULT '1'::bigint NOT NULL
);
CREATE SEQUENCE public.employee_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.employee_id_seq OWNED BY public.employee.id;
CREATE TABLE public.employee_token (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    employee_id bigint NOT NULL,
    token_sha256 character varying(64) NOT NULL,
    note character varying(255),
    revoked_at timestamp with time zone
);
CREATE SEQUENCE public.employee_token_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.employee_token_id_seq OWNED BY public.employee_token.id;
CREATE SEQUENCE public.extension_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.extension_id_seq OWNED BY public.extension.id;
CREATE TABLE public.installation (
    id integer NOT NULL,
    secret_fingerprint character varying(64) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_installation_ck_installation_one_row CHECK ((id = 1))
);
CREATE TABLE public.number (
    customer_id bigint NOT NULL,
    number character varying(32) NOT NULL,
    kind character varying(16) NOT NULL,
    ref character varying(24) NOT NULL,
    CONSTRAINT ck_number_ck_number_kind CHECK (((kind)::text = ANY ((ARRAY['extension'::character varying, 'group'::character varying, 'queue'::character varying])::text[])))
);
CREATE TABLE public.trusted_network (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    customer_id bigint NOT NULL,
    network character varying(64) NOT NULL,
    network_as_sent character varying(64) NOT NULL,
    description character varying(255),
    revision bigint DEFAULT '1'::bigint NOT NULL
);
CREATE VIEW public.phone_v1 AS
 SELECT phone.oid AS id,
    ((phone.version + customer.version) + COALESCE(extension.version, (0)::bigint)) AS version,
    phone.username,
    customer.sip_domain AS domain,
    phone.password_enc,
    NULL::character varying(64) AS ha1_md5,
    NULL::character varying(64) AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    COALESCE(extension.number, ''::character varying) AS extension,
    phone.secret_version,
    phone.ip_mode,
    phone.ip_countries,
    COALESCE(phone.ip_address, ''::character varying) AS ip_address,
    phone.ip_policy,
    phone.pbx_cluster,
        CASE
            WHEN phone.webrtc THEN 1
            ELSE 0
        END AS webrtc,
    COALESCE(phone.instance_id, ''::character varying) AS instance_id,
        CASE
            WHEN ((phone.ip_policy)::text = 'DOMAIN'::text) THEN COALESCE(( SELECT string_agg((trusted_network.network)::text, ','::text) AS string_agg
               FROM public.trusted_network
              WHERE (trusted_network.customer_id = customer.id)), ''::text)
            ELSE ''::text
        END AS networks,
    'phone'::text AS kind,
    NULL::bigint AS user_id,
    COALESCE(extension.name, ''::character varying) AS name,
        CASE
            WHEN phone.codec_hd THEN 1
            ELSE 0
        END AS codec_hd,
        CASE
            WHEN phone.codec_video THEN 1
            ELSE 0
        END AS codec_video,
    phone.extension_id
   FROM ((public.sip_phone phone
     JOIN public.customer ON ((customer.id = phone.customer_id)))
     LEFT JOIN public.extension ON ((extension.id = phone.extension_id)))
UNION ALL
 SELECT (('u'::text || ((extension.id)::character varying(20))::text))::character varying(24) AS id,
    (extension.version + customer.version) AS version,
    extension.sip_user AS username,
    customer.sip_domain AS domain,
    NULL::character varying(255) AS password_enc,
    extension.sip_ha1_md5 AS ha1_md5,
    extension.sip_ha1_sha256 AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    extension.number AS extension,
    extension.sip_secret_version AS secret_version,
    'OPEN'::character varying(8) AS ip_mode,
    ''::character varying(1000) AS ip_countries,
    ''::character varying(45) AS ip_address,
    'DOMAIN'::character varying(8) AS ip_policy,
    1 AS pbx_cluster,
    0 AS webrtc,
    ''::character varying(255) AS instance_id,
    COALESCE(( SELECT string_agg((trusted_network.network)::text, ','::text) AS string_agg
           FROM public.trusted_network
          WHERE (trusted_network.customer_id = customer.id)), ''::text) AS networks,
    'user'::text AS kind,
    extension.id AS user_id,
    extension.name,
    1 AS codec_hd,
    0 AS codec_video,
    extension.id AS extension_id
   FROM (public.extension
     JOIN public.customer ON ((customer.id = extension.customer_id)))
  WHERE ((extension.sip_ha1_md5 IS NOT NULL) AND (customer.sip_domain IS NOT NULL));
CREATE TABLE public.product (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    type character varying(32) NOT NULL,
    product_code character varying(64) NOT NULL,
    name character varying(255) NOT NULL,
    reseller_id bigint,
    price numeric(12,2),
    revision bigint DEFAULT '1'::bigint NOT NULL
);
CREATE SEQUENCE public.product_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.product_id_seq OWNED BY public.product.id;
CREATE TABLE public.queue (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    customer_id bigint NOT NULL,
    name character varying(255) NOT NULL,
    display_name character varying(255),
    number character varying(32) NOT NULL,
    caller_name_format character varying(255),
    strategy character varying(32),
    revision bigint DEFAULT '1'::bigint NOT NULL
);
CREATE SEQUENCE public.queue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.queue_id_seq OWNED BY public.queue.id;
CREATE TABLE public.queue_member (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    queue_id bigint NOT NULL,
    group_id bigint,
    extension_id bigint,
    external_number character varying(32),
    ring_strategy character varying(16) NOT NULL,
    ring_attempts integer NOT NULL,
    ring_secs integer NOT NULL,
    ring_order integer NOT NULL,
    permanent boolean NOT NULL,
    revision bigint DEFAULT '1'::bigint NOT NULL,
    CONSTRAINT ck_queue_member_ck_queue_member_one_target CHECK ((((
CASE
    WHEN (group_id IS NULL) THEN 0
    ELSE 1
END +
CASE
    WHEN (extension_id IS NULL) THEN 0
    ELSE 1
END) +
CASE
    WHEN (external_number IS NULL) THEN 0
    ELSE 1
END) = 1)),
    CONSTRAINT ck_queue_member_ck_queue_member_ring_strategy CHECK (((ring_strategy)::text = ANY ((ARRAY['all'::character varying, 'huntLongestIdle'::character varying])::text[])))
);
CREATE SEQUENCE public.queue_member_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.queue_member_id_seq OWNED BY public.queue_member.id;
CREATE TABLE public.sip_group (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    customer_id bigint NOT NULL,
    name character varying(255) NOT NULL,
    display_name character varying(255),
    number character varying(32) NOT NULL,
    caller_name_format character varying(255),
    ring_retry boolean NOT NULL,
    ring_exclusive boolean NOT NULL,
    pickup boolean NOT NULL,
    steal boolean NOT NULL,
    spy boolean NOT NULL,
    set_presence boolean NOT NULL,
    queue_member boolean NOT NULL,
    revision bigint DEFAULT '1'::bigint NOT NULL
);
CREATE TABLE public.sip_group_controller (
    group_id bigint NOT NULL,
    extension_id bigint NOT NULL
);
CREATE SEQUENCE public.sip_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sip_group_id_seq OWNED BY public.sip_group.id;
CREATE TABLE public.sip_group_member (
    group_id bigint NOT NULL,
    extension_id bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.sip_phone_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sip_phone_id_seq OWNED BY public.sip_phone.id;
CREATE TABLE public.sip_phone_model (
    id bigint NOT NULL,
    oid character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    brand character varying(16) NOT NULL,
    brand_name character varying(64) NOT NULL,
    model character varying(64) NOT NULL,
    picture_oid character varying(24),
    description text,
    extensions integer NOT NULL,
    softkeys integer NOT NULL,
    softkey_labels boolean NOT NULL,
    softkey_capabilities json NOT NULL,
    multiple_handsets boolean NOT NULL,
    provision boolean NOT NULL,
    mac_redirect boolean NOT NULL,
    custom_ringtones boolean NOT NULL,
    sip_config_reload boolean NOT NULL,
    requires_serial boolean NOT NULL,
    max_side_panels integer NOT NULL,
    ringer_volume_min integer,
    ringer_volume_max integer,
    ringer_tone_max integer,
    handset_mic_min integer,
    handset_mic_max integer,
    handset_speaker_min integer,
    handset_speaker_max integer,
    headset_mic_min integer,
    headset_mic_max integer,
    headset_speaker_min integer,
    headset_speaker_max integer,
    handsfree_mic_min integer,
    handsfree_mic_max integer,
    handsfree_speaker_min integer,
    handsfree_speaker_max integer,
    configuration_template text,
    revision bigint DEFAULT '1'::bigint NOT NULL
);
CREATE SEQUENCE public.sip_phone_model_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sip_phone_model_id_seq OWNED BY public.sip_phone_model.id;
CREATE TABLE public.sip_phone_side_panel (
    phone_id bigint NOT NULL,
    "position" integer NOT NULL,
    serial character varying(255) NOT NULL,
    payment_option character varying(16),
    order_id character varying(255),
    date timestamp with time zone,
    product_id bigint
);
CREATE TABLE public.sip_phone_softkey (
    phone_id bigint NOT NULL,
    key_index integer NOT NULL,
    function character varying(16) NOT NULL,
    value character varying(2000),
    label character varying(255)
);
CREATE SEQUENCE public.trusted_network_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trusted_network_id_seq OWNED BY public.trusted_network.id;
ALTER TABLE ONLY public.audit_log ALTER COLUMN id SET DEFAULT nextval('public.audit_log_id_seq'::regclass);
ALTER TABLE ONLY public.customer ALTER COLUMN id SET DEFAULT nextval('public.customer_id_seq'::regclass);
ALTER TABLE ONLY public.employee ALTER COLUMN id SET DEFAULT nextval('public.employee_id_seq'::regclass);
ALTER TABLE ONLY public.employee_token ALTER COLUMN id SET DEFAULT nextval('public.employee_token_id_seq'::regclass);
ALTER TABLE ONLY public.extension ALTER COLUMN id SET DEFAULT nextval('public.extension_id_seq'::regclass);
ALTER TABLE ONLY public.product ALTER COLUMN id SET DEFAULT nextval('public.product_id_seq'::regclass);
ALTER TABLE ONLY public.queue ALTER COLUMN id SET DEFAULT nextval('public.queue_id_seq'::regclass);
ALTER TABLE ONLY public.queue_member ALTER COLUMN id SET DEFAULT nextval('public.queue_member_id_seq'::regclass);
ALTER TABLE ONLY public.sip_group ALTER COLUMN id SET DEFAULT nextval('public.sip_group_id_seq'::regclass);
ALTER TABLE ONLY public.sip_phone ALTER COLUMN id SET DEFAULT nextval('public.sip_phone_id_seq'::regclass);
ALTER TABLE ONLY public.sip_phone_model ALTER COLUMN id SET DEFAULT nextval('public.sip_phone_model_id_seq'::regclass);
ALTER TABLE ONLY public.trusted_network ALTER COLUMN id SET DEFAULT nextval('public.trusted_network_id_seq'::regclass);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT pk_audit_log PRIMARY KEY (id);
ALTER TABLE ONLY public.customer
    ADD CONSTRAINT pk_customer PRIMARY KEY (id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT pk_employee PRIMARY KEY (id);
ALTER TABLE ONLY public.employee_token
    ADD CONSTRAINT pk_employee_token PRIMARY KEY (id);
ALTER TABLE ONLY public.extension
    ADD CONSTRAINT pk_extension PRIMARY KEY (id);
ALTER TABLE ONLY public.installation
    ADD CONSTRAINT pk_installation PRIMARY KEY (id);
ALTER TABLE ONLY public.number
    ADD CONSTRAINT pk_number PRIMARY KEY (customer_id, number);
ALTER TABLE ONLY public.product
    ADD CONSTRAINT pk_product PRIMARY KEY (id);
ALTER TABLE ONLY public.queue
    ADD CONSTRAINT pk_queue PRIMARY KEY (id);
ALTER TABLE ONLY public.queue_member
    ADD CONSTRAINT pk_queue_member PRIMARY KEY (id);
ALTER TABLE ONLY public.sip_group
    ADD CONSTRAINT pk_sip_group PRIMARY KEY (id);
ALTER TABLE ONLY public.sip_group_controller
    ADD CONSTRAINT pk_sip_group_controller PRIMARY KEY (group_id, extension_id);
ALTER TABLE ONLY public.sip_group_member
    ADD CONSTRAINT pk_sip_group_member PRIMARY KEY (group_id, extension_id);
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT pk_sip_phone PRIMARY KEY (id);
ALTER TABLE ONLY public.sip_phone_model
    ADD CONSTRAINT pk_sip_phone_model PRIMARY KEY (id);
ALTER TABLE ONLY public.sip_phone_side_panel
    ADD CONSTRAINT pk_sip_phone_side_panel PRIMARY KEY (phone_id, "position");
ALTER TABLE ONLY public.sip_phone_softkey
    ADD CONSTRAINT pk_sip_phone_softkey PRIMARY KEY (phone_id, key_index);
ALTER TABLE ONLY public.trusted_network
    ADD CONSTRAINT pk_trusted_network PRIMARY KEY (id);
ALTER TABLE ONLY public.customer
    ADD CONSTRAINT uq_customer_oid UNIQUE (oid);
ALTER TABLE ONLY public.customer
    ADD CONSTRAINT uq_customer_sip_domain UNIQUE (sip_domain);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT uq_employee_oid UNIQUE (oid);
ALTER TABLE ONLY public.employee_token
    ADD CONSTRAINT uq_employee_token_oid UNIQUE (oid);
ALTER TABLE ONLY public.employee_token
    ADD CONSTRAINT uq_employee_token_token_sha256 UNIQUE (token_sha256);
ALTER TABLE ONLY public.extension
    ADD CONSTRAINT uq_extension_customer_id_number UNIQUE (customer_id, number);
ALTER TABLE ONLY public.extension
    ADD CONSTRAINT uq_extension_oid UNIQUE (oid);
ALTER TABLE ONLY public.number
    ADD CONSTRAINT uq_number_ref UNIQUE (ref);
ALTER TABLE ONLY public.product
    ADD CONSTRAINT uq_product_oid UNIQUE (oid);
ALTER TABLE ONLY public.queue
    ADD CONSTRAINT uq_queue_customer_id_number UNIQUE (customer_id, number);
ALTER TABLE ONLY public.queue_member
    ADD CONSTRAINT uq_queue_member_oid UNIQUE (oid);
ALTER TABLE ONLY public.queue
    ADD CONSTRAINT uq_queue_oid UNIQUE (oid);
ALTER TABLE ONLY public.sip_group
    ADD CONSTRAINT uq_sip_group_customer_id_number UNIQUE (customer_id, number);
ALTER TABLE ONLY public.sip_group
    ADD CONSTRAINT uq_sip_group_oid UNIQUE (oid);
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT uq_sip_phone_extension_id_instance_id UNIQUE (extension_id, instance_id);
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT uq_sip_phone_mac_mac_slot UNIQUE (mac, mac_slot);
ALTER TABLE ONLY public.sip_phone_model
    ADD CONSTRAINT uq_sip_phone_model_brand_model UNIQUE (brand, model);
ALTER TABLE ONLY public.sip_phone_model
    ADD CONSTRAINT uq_sip_phone_model_oid UNIQUE (oid);
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT uq_sip_phone_oid UNIQUE (oid);
ALTER TABLE ONLY public.sip_phone_side_panel
    ADD CONSTRAINT uq_sip_phone_side_panel_serial UNIQUE (serial);
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT uq_sip_phone_username UNIQUE (username);
ALTER TABLE ONLY public.trusted_network
    ADD CONSTRAINT uq_trusted_network_customer_id_network UNIQUE (customer_id, network);
ALTER TABLE ONLY public.trusted_network
    ADD CONSTRAINT uq_trusted_network_oid UNIQUE (oid);
CREATE INDEX ix_audit_log_at ON public.audit_log USING btree (at);
CREATE INDEX ix_audit_log_row_oid_id ON public.audit_log USING btree (row_oid, id);
CREATE INDEX ix_customer_parent_customer_id ON public.customer USING btree (parent_customer_id);
CREATE INDEX ix_employee_customer_id ON public.employee USING btree (customer_id);
CREATE INDEX ix_employee_name_trigrams ON public.employee USING gin (lower((name)::text) public.gin_trgm_ops);
CREATE INDEX ix_employee_token_employee_id ON public.employee_token USING btree (employee_id);
CREATE INDEX ix_extension_customer_id ON public.extension USING btree (customer_id);
CREATE INDEX ix_extension_direct_number_trigrams ON public.extension USING gin (lower((direct_number)::text) public.gin_trgm_ops);
CREATE INDEX ix_extension_employee_id ON public.extension USING btree (employee_id);
CREATE INDEX ix_extension_number_trigrams ON public.extension USING gin (lower((number)::text) public.gin_trgm_ops);
CREATE INDEX ix_product_reseller_id ON public.product USING btree (reseller_id);
CREATE INDEX ix_queue_customer_id ON public.queue USING btree (customer_id);
CREATE INDEX ix_queue_member_extension_id ON public.queue_member USING btree (extension_id);
CREATE INDEX ix_queue_member_group_id ON public.queue_member USING btree (group_id);
CREATE INDEX ix_queue_member_queue_id ON public.queue_member USING btree (queue_id);
CREATE INDEX ix_sip_group_controller_extension_id ON public.sip_group_controller USING btree (extension_id);
CREATE INDEX ix_sip_group_customer_id ON public.sip_group USING btree (customer_id);
CREATE INDEX ix_sip_group_member_extension_id ON public.sip_group_member USING btree (extension_id);
CREATE INDEX ix_sip_phone_customer_id_id ON public.sip_phone USING btree (customer_id, id);
CREATE INDEX ix_sip_phone_handset_address_trigrams ON public.sip_phone USING gin (lower((handset_address)::text) public.gin_trgm_ops);
CREATE INDEX ix_sip_phone_ip_address_trigrams ON public.sip_phone USING gin (lower((ip_address)::text) public.gin_trgm_ops);
CREATE INDEX ix_sip_phone_mac_trigrams ON public.sip_phone USING gin (lower((mac)::text) public.gin_trgm_ops);
CREATE INDEX ix_sip_phone_model_id ON public.sip_phone USING btree (model_id);
CREATE INDEX ix_sip_phone_notes_trigrams ON public.sip_phone USING gin (lower(notes) public.gin_trgm_ops);
CREATE INDEX ix_sip_phone_product_id ON public.sip_phone USING btree (product_id);
CREATE INDEX ix_trusted_network_customer_id ON public.trusted_network USING btree (customer_id);
CREATE UNIQUE INDEX uq_employee_login_email ON public.employee USING btree (login_email);
CREATE UNIQUE INDEX uq_extension_customer_id_sip_user ON public.extension USING btree (customer_id, sip_user);
CREATE UNIQUE INDEX uq_extension_primary ON public.extension USING btree (employee_id) WHERE is_primary;
ALTER TABLE ONLY public.customer
    ADD CONSTRAINT fk_customer_parent_customer_id FOREIGN KEY (parent_customer_id) REFERENCES public.customer(id);
ALTER TABLE ONLY public.employee
    ADD CONSTRAINT fk_employee_customer_id FOREIGN KEY (customer_id) REFERENCES public.customer(id);
ALTER TABLE ONLY public.employee_token
    ADD CONSTRAINT fk_employee_token_employee_id FOREIGN KEY (employee_id) REFERENCES public.employee(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.extension
    ADD CONSTRAINT fk_extension_customer_id FOREIGN KEY (customer_id) REFERENCES public.customer(id);
ALTER TABLE ONLY public.extension
    ADD CONSTRAINT fk_extension_employee_id FOREIGN KEY (employee_id) REFERENCES public.employee(id);
ALTER TABLE ONLY public.number
    ADD CONSTRAINT fk_number_customer_id FOREIGN KEY (customer_id) REFERENCES public.customer(id);
ALTER TABLE ONLY public.queue
    ADD CONSTRAINT fk_queue_customer_id FOREIGN KEY (customer_id) REFERENCES public.customer(id);
ALTER TABLE ONLY public.queue_member
    ADD CONSTRAINT fk_queue_member_extension_id FOREIGN KEY (extension_id) REFERENCES public.extension(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.queue_member
    ADD CONSTRAINT fk_queue_member_group_id FOREIGN KEY (group_id) REFERENCES public.sip_group(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.queue_member
    ADD CONSTRAINT fk_queue_member_queue_id FOREIGN KEY (queue_id) REFERENCES public.queue(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sip_group_controller
    ADD CONSTRAINT fk_sip_group_controller_extension_id FOREIGN KEY (extension_id) REFERENCES public.extension(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sip_group_controller
    ADD CONSTRAINT fk_sip_group_controller_group_id FOREIGN KEY (group_id) REFERENCES public.sip_group(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sip_group
    ADD CONSTRAINT fk_sip_group_customer_id FOREIGN KEY (customer_id) REFERENCES public.customer(id);
ALTER TABLE ONLY public.sip_group_member
    ADD CONSTRAINT fk_sip_group_member_extension_id FOREIGN KEY (extension_id) REFERENCES public.extension(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sip_group_member
    ADD CONSTRAINT fk_sip_group_member_group_id FOREIGN KEY (group_id) REFERENCES public.sip_group(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT fk_sip_phone_customer_id FOREIGN KEY (customer_id) REFERENCES public.customer(id);
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT fk_sip_phone_extension_id FOREIGN KEY (extension_id) REFERENCES public.extension(id);
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT fk_sip_phone_model_id FOREIGN KEY (model_id) REFERENCES public.sip_phone_model(id);
ALTER TABLE ONLY public.sip_phone
    ADD CONSTRAINT fk_sip_phone_product_id FOREIGN KEY (product_id) REFERENCES public.product(id);
ALTER TABLE ONLY public.sip_phone_side_panel
    ADD CONSTRAINT fk_sip_phone_side_panel_phone_id FOREIGN KEY (phone_id) REFERENCES public.sip_phone(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sip_phone_side_panel
    ADD CONSTRAINT fk_sip_phone_side_panel_product_id FOREIGN KEY (product_id) REFERENCES public.product(id);
ALTER TABLE ONLY public.sip_phone_softkey
    ADD CONSTRAINT fk_sip_phone_softkey_phone_id FOREIGN KEY (phone_id) REFERENCES public.sip_phone(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.trusted_network
    ADD CONSTRAINT fk_trusted_network_customer_id FOREIGN KEY (customer_id) REFERENCES public.customer(id);
INSERT INTO public.alembic_version VALUES ('0006');
