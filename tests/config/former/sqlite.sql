BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
CREATE TABLE audit_log (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	actor VARCHAR(24), 
	actor_level VARCHAR(16) NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	table_name VARCHAR(64) NOT NULL, 
	row_oid VARCHAR(24) NOT NULL, 
	source_ip VARCHAR(45) NOT NULL, 
	CONSTRAINT pk_audit_log PRIMARY KEY (id)
);
CREATE TABLE customer (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	parent_customer_id INTEGER, 
	is_reseller BOOLEAN NOT NULL, 
	sip_domain VARCHAR(255), 
	sip_display_name VARCHAR(255), 
	version BIGINT NOT NULL, call_recording BOOLEAN DEFAULT '0' NOT NULL, features JSON DEFAULT '[]' NOT NULL, revision BIGINT DEFAULT '1' NOT NULL, 
	CONSTRAINT ck_customer_ck_customer_state CHECK (state IN ('ACTIVE', 'BLOCKED', 'DELETED')), 
	CONSTRAINT fk_customer_parent_customer_id FOREIGN KEY(parent_customer_id) REFERENCES customer (id), 
	CONSTRAINT uq_customer_oid UNIQUE (oid), 
	CONSTRAINT uq_customer_sip_domain UNIQUE (sip_domain)
);
INSERT INTO "customer" VALUES(1,'4b59f54a1e779d5c5d3f2708','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000','Acme','ACTIVE',NULL,0,'acme.test',NULL,1,0,'[]',1);
CREATE TABLE employee (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	customer_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	access_level VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	version BIGINT NOT NULL, login_email VARCHAR(255), password_hash VARCHAR(255), ip_restriction VARCHAR(1000), contact_email VARCHAR(255), first_name VARCHAR(255), last_name VARCHAR(255), title VARCHAR(255), department VARCHAR(255), company_name VARCHAR(255), office_name VARCHAR(255), revision BIGINT DEFAULT '1' NOT NULL, 
	CONSTRAINT fk_employee_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id), 
	CONSTRAINT uq_employee_oid UNIQUE (oid)
);
CREATE TABLE employee_token (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	employee_id INTEGER NOT NULL, 
	token_sha256 VARCHAR(64) NOT NULL, 
	note VARCHAR(255), 
	revoked_at DATETIME, 
	CONSTRAINT fk_employee_token_employee_id FOREIGN KEY(employee_id) REFERENCES employee (id) ON DELETE CASCADE, 
	CONSTRAINT uq_employee_token_oid UNIQUE (oid), 
	CONSTRAINT uq_employee_token_token_sha256 UNIQUE (token_sha256)
);
CREATE TABLE extension (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	customer_id INTEGER NOT NULL, 
	employee_id INTEGER, 
	is_primary BOOLEAN NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	number VARCHAR(32) NOT NULL, 
	direct_number VARCHAR(32), 
	version BIGINT NOT NULL, sip_user VARCHAR(64), sip_ha1_md5 VARCHAR(64), sip_ha1_sha256 VARCHAR(64), sip_secret_version INTEGER DEFAULT '1' NOT NULL, pin_hash VARCHAR(255), hotdesk_allowed BOOLEAN DEFAULT '0' NOT NULL, uk_caller_id VARCHAR(32), us_caller_id VARCHAR(32), uk_phone_id INTEGER, us_phone_id INTEGER, mobile_number VARCHAR(32), mobile_follow BOOLEAN DEFAULT '0' NOT NULL, dashboard BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT fk_extension_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id), 
	CONSTRAINT fk_extension_employee_id FOREIGN KEY(employee_id) REFERENCES employee (id), 
	CONSTRAINT uq_extension_customer_id_number UNIQUE (customer_id, number), 
	CONSTRAINT uq_extension_oid UNIQUE (oid)
);
INSERT INTO "extension" VALUES(1,'1d79f0ffb58183b72446f81a','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 200','200',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(2,'bd4030ab143864f6d49e527d','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 201','201',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(3,'f397bce678f2c575d4b7d0c7','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 202','202',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(4,'03e8ae53faadff103bd95a67','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 203','203',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(5,'2090b8c3739451a00a9be57c','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 204','204',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(6,'083d0784ed1f98195647e7c7','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 205','205',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(7,'d76443df8cdd1a6c49aa7e2e','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 206','206',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(8,'c7ef1378ceb307782e540a68','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 207','207',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(9,'0144167efa10b6c228c95ee6','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 208','208',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(10,'9811c040c99702e319e9340b','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 209','209',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(11,'9b5610041fc6d57b2517bc90','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 210','210',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(12,'dca4b6f566c554e34d812457','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 211','211',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(13,'6444888823e22cebc3c96dd3','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 212','212',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(14,'6e34e79149cde36b74a86b67','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 213','213',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(15,'db2806588bcffa1009d1358f','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 214','214',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(16,'7cecd2f6fe92c64a837f7b43','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 215','215',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(17,'ec8a60049180506483bef513','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 216','216',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(18,'fa61a01cd6ea4d11eb9cd7d7','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 217','217',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(19,'45d248a22746161f583d7c2b','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 218','218',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "extension" VALUES(20,'c328ff17ab5e7cdd3ddf088c','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,NULL,0,'Phone 219','219',NULL,1,NULL,NULL,NULL,1,NULL,0,NULL,NULL,NULL,NULL,NULL,0,0);
CREATE TABLE installation (
	id INTEGER NOT NULL, 
	secret_fingerprint VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_installation PRIMARY KEY (id), 
	CONSTRAINT ck_installation_ck_installation_one_row CHECK (id = 1)
);
INSERT INTO "installation" VALUES(1,'c29bdc1fd86e652c','2026-11-29 21:05:46.000000');
CREATE TABLE number (
	customer_id INTEGER NOT NULL, 
	number VARCHAR(32) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	ref VARCHAR(24) NOT NULL, 
	CONSTRAINT pk_number PRIMARY KEY (customer_id, number), 
	CONSTRAINT ck_number_ck_number_kind CHECK (kind IN ('extension', 'group', 'queue')), 
	CONSTRAINT fk_number_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id), 
	CONSTRAINT uq_number_ref UNIQUE (ref)
);
INSERT INTO "number" VALUES(1,'200','extension','1d79f0ffb58183b72446f81a');
INSERT INTO "number" VALUES(1,'201','extension','bd4030ab143864f6d49e527d');
INSERT INTO "number" VALUES(1,'202','extension','f397bce678f2c575d4b7d0c7');
INSERT INTO "number" VALUES(1,'203','extension','03e8ae53faadff103bd95a67');
INSERT INTO "number" VALUES(1,'204','extension','2090b8c3739451a00a9be57c');
INSERT INTO "number" VALUES(1,'205','extension','083d0784ed1f98195647e7c7');
INSERT INTO "number" VALUES(1,'206','extension','d76443df8cdd1a6c49aa7e2e');
INSERT INTO "number" VALUES(1,'207','extension','c7ef1378ceb307782e540a68');
INSERT INTO "number" VALUES(1,'208','extension','0144167efa10b6c228c95ee6');
INSERT INTO "number" VALUES(1,'209','extension','9811c040c99702e319e9340b');
INSERT INTO "number" VALUES(1,'210','extension','9b5610041fc6d57b2517bc90');
INSERT INTO "number" VALUES(1,'211','extension','dca4b6f566c554e34d812457');
INSERT INTO "number" VALUES(1,'212','extension','6444888823e22cebc3c96dd3');
INSERT INTO "number" VALUES(1,'213','extension','6e34e79149cde36b74a86b67');
INSERT INTO "number" VALUES(1,'214','extension','db2806588bcffa1009d1358f');
INSERT INTO "number" VALUES(1,'215','extension','7cecd2f6fe92c64a837f7b43');
INSERT INTO "number" VALUES(1,'216','extension','ec8a60049180506483bef513');
INSERT INTO "number" VALUES(1,'217','extension','fa61a01cd6ea4d11eb9cd7d7');
INSERT INTO "number" VALUES(1,'218','extension','45d248a22746161f583d7c2b');
INSERT INTO "number" VALUES(1,'219','extension','c328ff17ab5e7cdd3ddf088c');
CREATE TABLE product (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	product_code VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, reseller_id INTEGER, price NUMERIC(12, 2), revision BIGINT DEFAULT '1' NOT NULL, 
	CONSTRAINT uq_product_oid UNIQUE (oid)
);
CREATE TABLE queue (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	customer_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	display_name VARCHAR(255), 
	number VARCHAR(32) NOT NULL, 
	caller_name_format VARCHAR(255), 
	strategy VARCHAR(32), revision BIGINT DEFAULT '1' NOT NULL, 
	CONSTRAINT fk_queue_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id), 
	CONSTRAINT uq_queue_oid UNIQUE (oid), 
	CONSTRAINT uq_queue_customer_id_number UNIQUE (customer_id, number)
);
CREATE TABLE queue_member (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	queue_id INTEGER NOT NULL, 
	group_id INTEGER, 
	extension_id INTEGER, 
	external_number VARCHAR(32), 
	ring_strategy VARCHAR(16) NOT NULL, 
	ring_attempts INTEGER NOT NULL, 
	ring_secs INTEGER NOT NULL, 
	ring_order INTEGER NOT NULL, 
	permanent BOOLEAN NOT NULL, revision BIGINT DEFAULT '1' NOT NULL, 
	CONSTRAINT ck_queue_member_ck_queue_member_one_target CHECK ((CASE WHEN group_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN extension_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN external_number IS NULL THEN 0 ELSE 1 END) = 1), 
	CONSTRAINT ck_queue_member_ck_queue_member_ring_strategy CHECK (ring_strategy IN ('all', 'huntLongestIdle')), 
	CONSTRAINT fk_queue_member_queue_id FOREIGN KEY(queue_id) REFERENCES queue (id) ON DELETE CASCADE, 
	CONSTRAINT fk_queue_member_group_id FOREIGN KEY(group_id) REFERENCES sip_group (id) ON DELETE CASCADE, 
	CONSTRAINT fk_queue_member_extension_id FOREIGN KEY(extension_id) REFERENCES extension (id) ON DELETE CASCADE, 
	CONSTRAINT uq_queue_member_oid UNIQUE (oid)
);
CREATE TABLE sip_group (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	customer_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	display_name VARCHAR(255), 
	number VARCHAR(32) NOT NULL, 
	caller_name_format VARCHAR(255), 
	ring_retry BOOLEAN NOT NULL, 
	ring_exclusive BOOLEAN NOT NULL, 
	pickup BOOLEAN NOT NULL, 
	steal BOOLEAN NOT NULL, 
	spy BOOLEAN NOT NULL, 
	set_presence BOOLEAN NOT NULL, 
	queue_member BOOLEAN NOT NULL, revision BIGINT DEFAULT '1' NOT NULL, 
	CONSTRAINT fk_sip_group_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id), 
	CONSTRAINT uq_sip_group_oid UNIQUE (oid), 
	CONSTRAINT uq_sip_group_customer_id_number UNIQUE (customer_id, number)
);
CREATE TABLE sip_group_controller (
	group_id INTEGER NOT NULL, 
	extension_id INTEGER NOT NULL, 
	CONSTRAINT pk_sip_group_controller PRIMARY KEY (group_id, extension_id), 
	CONSTRAINT fk_sip_group_controller_group_id FOREIGN KEY(group_id) REFERENCES sip_group (id) ON DELETE CASCADE, 
	CONSTRAINT fk_sip_group_controller_extension_id FOREIGN KEY(extension_id) REFERENCES extension (id) ON DELETE CASCADE
);
CREATE TABLE sip_group_member (
	group_id INTEGER NOT NULL, 
	extension_id INTEGER NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_sip_group_member PRIMARY KEY (group_id, extension_id), 
	CONSTRAINT fk_sip_group_member_group_id FOREIGN KEY(group_id) REFERENCES sip_group (id) ON DELETE CASCADE, 
	CONSTRAINT fk_sip_group_member_extension_id FOREIGN KEY(extension_id) REFERENCES extension (id) ON DELETE CASCADE
);
CREATE TABLE sip_phone (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	customer_id INTEGER NOT NULL, 
	extension_id INTEGER, 
	model_id INTEGER NOT NULL, 
	product_id INTEGER, 
	version BIGINT NOT NULL, 
	secret_version INTEGER NOT NULL, 
	username VARCHAR(32) NOT NULL, 
	password_enc VARCHAR(255) NOT NULL, 
	device_name VARCHAR(255), 
	pbx_cluster INTEGER NOT NULL, 
	webrtc BOOLEAN NOT NULL, 
	instance_id VARCHAR(255), 
	mac VARCHAR(12), 
	mac_slot INTEGER, 
	serial VARCHAR(255), 
	handset_index INTEGER, 
	handset_address VARCHAR(255), 
	ip_mode VARCHAR(8) NOT NULL, 
	ip_countries VARCHAR(1000) NOT NULL, 
	ip_address VARCHAR(45), 
	ip_policy VARCHAR(8) NOT NULL, 
	call_waiting BOOLEAN, 
	dhsg BOOLEAN, 
	headset_button VARCHAR(16), 
	side_panel VARCHAR(255), 
	side_panel_count INTEGER, 
	display_brightness INTEGER, 
	display_brightness_idle INTEGER, 
	display_background VARCHAR(2000), 
	display_font_color VARCHAR(8), 
	softkey_configuration_on_device BOOLEAN, 
	softkey_blf_blind_transfer BOOLEAN, 
	custom_config TEXT, 
	notes TEXT, 
	ringer_volume INTEGER, 
	ringer_tone VARCHAR(24), 
	vol_handset_mic INTEGER, 
	vol_handset_speaker INTEGER, 
	vol_headset_mic INTEGER, 
	vol_headset_speaker INTEGER, 
	vol_handsfree_mic INTEGER, 
	vol_handsfree_speaker INTEGER, 
	codec_hd BOOLEAN NOT NULL, 
	codec_video BOOLEAN NOT NULL, 
	net_dhcp BOOLEAN NOT NULL, 
	net_ip VARCHAR(45), 
	net_subnet VARCHAR(45), 
	net_gateway VARCHAR(45), 
	net_dns1 VARCHAR(45), 
	net_dns2 VARCHAR(45), 
	vlan_id INTEGER NOT NULL, 
	vlan_priority INTEGER NOT NULL, 
	purchase_order_id VARCHAR(255), 
	purchase_date DATETIME, 
	purchase_option VARCHAR(16), 
	config_loaded_at DATETIME, 
	config_saved_at DATETIME, device_token_sha256 VARCHAR(64), linked_at DATETIME, 
	CONSTRAINT ck_sip_phone_ck_sip_phone_ip_mode CHECK (ip_mode IN ('OPEN', 'LOCKED', 'ROAMING')), 
	CONSTRAINT ck_sip_phone_ck_sip_phone_mac_slot CHECK ((mac IS NULL) = (mac_slot IS NULL)), 
	CONSTRAINT fk_sip_phone_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id), 
	CONSTRAINT fk_sip_phone_extension_id FOREIGN KEY(extension_id) REFERENCES extension (id), 
	CONSTRAINT fk_sip_phone_model_id FOREIGN KEY(model_id) REFERENCES sip_phone_model (id), 
	CONSTRAINT fk_sip_phone_product_id FOREIGN KEY(product_id) REFERENCES product (id), 
	CONSTRAINT uq_sip_phone_extension_id_instance_id UNIQUE (extension_id, instance_id), 
	CONSTRAINT uq_sip_phone_mac_mac_slot UNIQUE (mac, mac_slot), 
	CONSTRAINT uq_sip_phone_oid UNIQUE (oid), 
	CONSTRAINT uq_sip_phone_username UNIQUE (username)
);
INSERT INTO "sip_phone" VALUES(1,'fca12b4e5ae542b1b055b665','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,1,1,NULL,1,1,'big0zujicd6jgknp4o7f8c5fe6olunjr','v1:2XebL6eyoE5H1mrPbHvrVqHswjBVk6ILOybrwREMKRDcfX+o8V/7CKS0nLEmU13+JzQV0xohfcD8HaHw',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(2,'ded41eab21d0213119047666','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,2,1,NULL,1,1,'xig13bba78r4fdspodsuutxccjtcogiz','v1:Vw2egqLacWIXVNt2a4YEfpr66nytgBOZLB+xdpIBciUfJZz5PWfmeO0IYHgY1jUeiIw/NVXGSg6T8Zu1',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(3,'7b1dadd30b6d544b751a24be','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,3,1,NULL,1,1,'r95rub5xodfx4vbe53gy4f3phe4yri5q','v1:/zML7nrHn3cYBWwXsG7I/GF8SK4rzuTtQTeD9flwMoWd4xTlGSCRSGkH6wKXQUC5KVyK+ROWrT1heH/q',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(4,'1dba3317eeb2c5d3ed56807e','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,4,1,NULL,1,1,'v7471k4ygtrrbqye9l2yaoqt6zuh5bxr','v1:wHNiN/vISgiChVISnSKnQ2U2E4zbGz/peH9JGYmCLUIEkDo8lKDF4HuogOU648GKbIdGike0873Sqswp',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(5,'e4632dd1bb24e18339371fb4','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,5,1,NULL,1,1,'vbhf1ur5jjs40esfgs1b02xaa170kamg','v1:/bQrc7Vo2ZTS4k6ll0CnhkD4lsBP6hH6JPJc4/zVt8aDCe/5Ye4lEzWX3+p3X+0DTSRh8g7UC7hw6+tx',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(6,'e500cea075b9706c5b672163','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,6,1,NULL,1,1,'ztxw9qbdkijlky4cvnm2ptl3aj36iiz0','v1:YC+NOY3J3y014Lq+CZLwNVQ5Cpju3sV1ij1TBCj4A/d8ps2jAkNQZPiAODJNF7WTll8pb7+yQni1Ay54',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(7,'76d138ce4f7c46c585a8cf57','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,7,1,NULL,1,1,'oyum7xuubwlcixilumeg0en4uaxw0z6v','v1:qP04NdFLmoGMyXVs05UunRWbb4vBwjWSTnFhSPvMoiaL86s29jyyGUApBgk62dzl4qUdA1fqr3K4lmTz',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(8,'f81599f83eaf634592d4b1eb','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,8,1,NULL,1,1,'2xlofrh978sotxbveamtae0enq6uw89t','v1:uR4R86xxL82G888QzSP3QsEjcOhrKLjq92LFyeLBP37TsVA8t54RjWUZozJYaEKB2FZxBeoHusjsbSll',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(9,'ed6189482fff31a1e28eb1ce','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,9,1,NULL,1,1,'bpitsb2mz7vel0lrwjmlbma7n5l2zppw','v1:AHh4SHCzA4JTVlZACZR9C9RxuB90j61SMJ2V38r5SM5YQJNGEu/ItGLtwabUa6SiaTz3ePX6I4ZFzVmX',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(10,'95be3ac928ae8e4be2b018d5','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,10,1,NULL,1,1,'btnnnbmsytqpli888hfbt8mh1isj8gg2','v1:rQRUcmICOJJjUW/pwIPqd+4lYL8Lpn+ZEn9LwPpBgHZHG8fxUTFTzX4LS2B3ZJpFW4bC+/NkTPWuAqBO',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(11,'ac9e8a77a9d3c6ccf9dc0ca1','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,11,1,NULL,1,1,'k72igjw9pnv0lpd4bm3gwlmfpp5ocn5x','v1:kkUAVmZ3gZKaKUqCcl49AKgqCwF/gQHreMlebDoIafEm4mS+CeZF7rab8RC+TVWz3oU2O3LWeZ/ZU/6e',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(12,'c0dac9cb30f498a9a2aeba8c','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,12,1,NULL,1,1,'lafdjtleu1ba77mipd8oul7fl5s1uiwz','v1:jCgKE0CEjJo1xVPyJ1RJaA+khCR+1Hg+uu4vSytBJIX0a5sGP36t91mNzyzFmf/aXjzSyDngfPElP1ow',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(13,'f4fae89e20c7b84b45b4543c','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,13,1,NULL,1,1,'5rok4h6occihw0rlv76d2uuw07qb51wk','v1:CswSrST+t60BPVW3woN5GAWNAvSNLBRIxTX38jPaDHL8bn+2jAuo+MtT7vd5twmSnTP5AWoj9iLNgg/g',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(14,'90e8509418db74b65722d47e','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,14,1,NULL,1,1,'xfb27zlst3bdqquqkx0qawalhdt2xqpl','v1:a7rUAoXXNv+xJVELHVDbWcs9k2FNhLf6qEPlseIx+cr5Xyb4Wyeirnh3vGo8im4IZXdJO4XiK6lW/jqs',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(15,'35c4ab30ea01dee59af65910','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,15,1,NULL,1,1,'zw34mfxqyjshcxzx58b6rgu6ugreoza4','v1:+34mpuOsfOgQ/f3cvdlYEOoKDJUoENZ4/bS/m465JSRGGgO9oE9JSuCJM3fya4HV1unCxUHjIfAlwmgv',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(16,'4d072fa33220e0527aceb51e','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,16,1,NULL,1,1,'e9tmgphck2gsap53g4leer4rai781r9x','v1:mhoOJUwwoPAzZt2cUUnYq8qzBdYxrJXwlnFO/zqxVo6/X3dERxurzYEWvJRHhH7QbGfI5N9p4d7vAzA6',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(17,'74df74260bfafd7e5437002f','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,17,1,NULL,1,1,'o2yy06v5ma7twa72qtg3rqdo19zvm8g0','v1:YqVPr+Yhe15fchu4GxFmyJoR7mUgIl7/58yX9BlhQ7D5z/YBMHDssEclvhNoHzrijPGfwKfgRy8hHzVA',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(18,'038858757fc6c7e5d9eec0a9','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,18,1,NULL,1,1,'6sj837sh80u4m17ymxk2eqbq4umfuq06','v1:VDql/kFNCb34olKLRH3J6cMWW6z9NA1qfrw6Ocjq3LCPb8IgVVmN2ktVDE8jpPMwG8EJpn+klQ+PYrJp',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(19,'2a492e85c349d1db2bf68640','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,19,1,NULL,1,1,'y7vs94ogwmwljmpw44sqetf7gynuzspw','v1:sZLKfz8zJ3Lz0K1t+qiQgtp4k7CITtjrTwrQaMT7+iIb5yd6rHsTFf3lBHbnVHZFikRagk/BI72sugQL',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
INSERT INTO "sip_phone" VALUES(20,'8e5cfcd3226774b474930935','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000',1,20,1,NULL,1,1,'jmidu1agqnnzw28kqzo9knlamtav07ng','v1:6gbPl9XQRBYcVPlk1/9SwhPs35lDbR+aTAzlJq/UrM7o1sh1/TDsbbU3qQ7S3dF3e2jWs9lSiQxgvoW6',NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,'OPEN','',NULL,'PHONE',0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,1,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'2026-11-29 21:05:46.000000',NULL,NULL);
CREATE TABLE sip_phone_model (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	brand VARCHAR(16) NOT NULL, 
	brand_name VARCHAR(64) NOT NULL, 
	model VARCHAR(64) NOT NULL, 
	picture_oid VARCHAR(24), 
	description TEXT, 
	extensions INTEGER NOT NULL, 
	softkeys INTEGER NOT NULL, 
	softkey_labels BOOLEAN NOT NULL, 
	softkey_capabilities JSON NOT NULL, 
	multiple_handsets BOOLEAN NOT NULL, 
	provision BOOLEAN NOT NULL, 
	mac_redirect BOOLEAN NOT NULL, 
	custom_ringtones BOOLEAN NOT NULL, 
	sip_config_reload BOOLEAN NOT NULL, 
	requires_serial BOOLEAN NOT NULL, 
	max_side_panels INTEGER NOT NULL, 
	ringer_volume_min INTEGER, 
	ringer_volume_max INTEGER, 
	ringer_tone_max INTEGER, 
	handset_mic_min INTEGER, 
	handset_mic_max INTEGER, 
	handset_speaker_min INTEGER, 
	handset_speaker_max INTEGER, 
	headset_mic_min INTEGER, 
	headset_mic_max INTEGER, 
	headset_speaker_min INTEGER, 
	headset_speaker_max INTEGER, 
	handsfree_mic_min INTEGER, 
	handsfree_mic_max INTEGER, 
	handsfree_speaker_min INTEGER, 
	handsfree_speaker_max INTEGER, 
	configuration_template TEXT, revision BIGINT DEFAULT '1' NOT NULL, 
	CONSTRAINT uq_sip_phone_model_brand_model UNIQUE (brand, model), 
	CONSTRAINT uq_sip_phone_model_oid UNIQUE (oid)
);
INSERT INTO "sip_phone_model" VALUES(1,'aa84a1ee6d5190cf2aecea60','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000','GENERIC','Generic','SIP device',NULL,'Any SIP phone',1,128,1,'["SPEEDDIAL", "BLF", "LINE", "DND", "DNDOTHER", "ADDRESSBOOK", "REDIAL", "VOICEMAIL", "TRANSFER", "URL", "HOLD", "RECORD", "MENU", "PICKUP", "PICKUPGROUP", "QUEUE", "SWITCH", "PRESENCE"]',0,0,0,1,0,0,3,0,15,31,0,15,0,15,0,15,0,15,0,15,0,15,NULL,1);
INSERT INTO "sip_phone_model" VALUES(2,'2d415e0ca6f5e99b6cd2feec','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000','GENERIC','Generic','WebRTC',NULL,'A browser softphone',1,0,0,'[]',0,0,0,1,0,0,0,0,15,31,0,15,0,15,0,15,0,15,0,15,0,15,NULL,1);
INSERT INTO "sip_phone_model" VALUES(3,'4baf20d80a67787bcfd329fd','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000','SNOM','Snom','D785',NULL,'Desk phone',1,24,1,'["SPEEDDIAL", "BLF", "LINE", "DND", "DNDOTHER", "ADDRESSBOOK", "REDIAL", "VOICEMAIL", "TRANSFER", "URL", "HOLD", "RECORD", "MENU", "PICKUP", "PICKUPGROUP", "QUEUE", "SWITCH", "PRESENCE"]',0,1,1,1,1,0,3,0,15,10,0,15,0,15,0,15,0,15,0,15,0,15,NULL,1);
INSERT INTO "sip_phone_model" VALUES(4,'7869b719d2dfd1c40386b1ce','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000','YEALINK','Yealink','T46U',NULL,'Desk phone',1,27,1,'["SPEEDDIAL", "BLF", "LINE", "DND", "DNDOTHER", "ADDRESSBOOK", "REDIAL", "VOICEMAIL", "TRANSFER", "URL", "HOLD", "RECORD", "MENU", "PICKUP", "PICKUPGROUP", "QUEUE", "SWITCH", "PRESENCE"]',0,1,1,0,1,0,3,0,15,8,0,15,0,15,0,15,0,15,0,15,0,15,NULL,1);
INSERT INTO "sip_phone_model" VALUES(5,'d557daae8a26d7a230c2404a','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000','GRANDSTREAM','Grandstream','GXP2170',NULL,'Desk phone',1,12,1,'["SPEEDDIAL", "BLF", "LINE", "DND", "DNDOTHER", "ADDRESSBOOK", "REDIAL", "VOICEMAIL", "TRANSFER", "URL", "HOLD", "RECORD", "MENU", "PICKUP", "PICKUPGROUP", "QUEUE", "SWITCH", "PRESENCE"]',0,1,1,0,1,1,4,0,8,3,0,8,0,8,0,8,0,8,0,8,0,8,NULL,1);
INSERT INTO "sip_phone_model" VALUES(6,'58fe97c8e7b5ab68820bb211','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000','GIGASET','Gigaset','N510 IP PRO',NULL,'DECT base for six handsets',6,0,0,'[]',1,1,1,0,1,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "sip_phone_model" VALUES(7,'94073b7d27571947bb195f32','2026-11-29 21:05:46.000000','2026-11-29 21:05:46.000000','CISCO','Cisco','SPA112',NULL,'Adapter for two analogue phones',2,0,0,'[]',0,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1);
CREATE TABLE sip_phone_side_panel (
	phone_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	serial VARCHAR(255) NOT NULL, 
	payment_option VARCHAR(16), 
	order_id VARCHAR(255), 
	date DATETIME, 
	product_id INTEGER, 
	CONSTRAINT pk_sip_phone_side_panel PRIMARY KEY (phone_id, position), 
	CONSTRAINT fk_sip_phone_side_panel_phone_id FOREIGN KEY(phone_id) REFERENCES sip_phone (id) ON DELETE CASCADE, 
	CONSTRAINT fk_sip_phone_side_panel_product_id FOREIGN KEY(product_id) REFERENCES product (id), 
	CONSTRAINT uq_sip_phone_side_panel_serial UNIQUE (serial)
);
CREATE TABLE sip_phone_softkey (
	phone_id INTEGER NOT NULL, 
	key_index INTEGER NOT NULL, 
	function VARCHAR(16) NOT NULL, 
	value VARCHAR(2000), 
	label VARCHAR(255), 
	CONSTRAINT pk_sip_phone_softkey PRIMARY KEY (phone_id, key_index), 
	CONSTRAINT fk_sip_phone_softkey_phone_id FOREIGN KEY(phone_id) REFERENCES sip_phone (id) ON DELETE CASCADE
);
CREATE TABLE trusted_network (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	oid VARCHAR(24) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	customer_id INTEGER NOT NULL, 
	network VARCHAR(64) NOT NULL, 
	network_as_sent VARCHAR(64) NOT NULL, 
	description VARCHAR(255), revision BIGINT DEFAULT '1' NOT NULL, 
	CONSTRAINT fk_trusted_network_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id), 
	CONSTRAINT uq_trusted_network_oid UNIQUE (oid), 
	CONSTRAINT uq_trusted_network_customer_id_network UNIQUE (customer_id, network)
);
CREATE INDEX ix_customer_parent_customer_id ON customer (parent_customer_id);
CREATE INDEX ix_employee_customer_id ON employee (customer_id);
CREATE INDEX ix_extension_customer_id ON extension (customer_id);
CREATE INDEX ix_extension_employee_id ON extension (employee_id);
CREATE INDEX ix_sip_phone_customer_id_id ON sip_phone (customer_id, id);
CREATE INDEX ix_sip_phone_model_id ON sip_phone (model_id);
CREATE INDEX ix_sip_phone_product_id ON sip_phone (product_id);
CREATE INDEX ix_audit_log_at ON audit_log (at);
CREATE VIEW domain_v1 AS
SELECT sip_domain AS domain FROM customer WHERE sip_domain IS NOT NULL AND state <> 'DELETED';
CREATE UNIQUE INDEX uq_employee_login_email ON employee (login_email);
CREATE UNIQUE INDEX uq_extension_customer_id_sip_user ON extension (customer_id, sip_user);
CREATE UNIQUE INDEX uq_extension_primary ON extension (employee_id) WHERE is_primary;
CREATE INDEX ix_product_reseller_id ON product (reseller_id);
CREATE INDEX ix_employee_token_employee_id ON employee_token (employee_id);
CREATE INDEX ix_sip_group_customer_id ON sip_group (customer_id);
CREATE INDEX ix_sip_group_member_extension_id ON sip_group_member (extension_id);
CREATE INDEX ix_sip_group_controller_extension_id ON sip_group_controller (extension_id);
CREATE INDEX ix_queue_customer_id ON queue (customer_id);
CREATE INDEX ix_queue_member_queue_id ON queue_member (queue_id);
CREATE INDEX ix_queue_member_group_id ON queue_member (group_id);
CREATE INDEX ix_queue_member_extension_id ON queue_member (extension_id);
CREATE INDEX ix_trusted_network_customer_id ON trusted_network (customer_id);
CREATE INDEX ix_audit_log_row_oid_id ON audit_log (row_oid, id);
CREATE VIEW phone_v1 AS
SELECT
    phone.oid AS id,
    phone.version + customer.version + COALESCE(extension.version, 0) AS version,
    phone.username AS username,
    customer.sip_domain AS domain,
    phone.password_enc AS password_enc,
    CAST(NULL AS VARCHAR(64)) AS ha1_md5,
    CAST(NULL AS VARCHAR(64)) AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    COALESCE(extension.number, '') AS extension,
    phone.secret_version AS secret_version,
    phone.ip_mode AS ip_mode,
    phone.ip_countries AS ip_countries,
    COALESCE(phone.ip_address, '') AS ip_address,
    phone.ip_policy AS ip_policy,
    phone.pbx_cluster AS pbx_cluster,
    CASE WHEN phone.webrtc THEN 1 ELSE 0 END AS webrtc,
    COALESCE(phone.instance_id, '') AS instance_id,
    CASE WHEN phone.ip_policy = 'DOMAIN' THEN COALESCE(
        (SELECT group_concat(network, ',') FROM trusted_network WHERE customer_id = customer.id), ''
    ) ELSE '' END AS networks,
    'phone' AS kind,
    CAST(NULL AS BIGINT) AS user_id,
    COALESCE(extension.name, '') AS name,
    CASE WHEN phone.codec_hd THEN 1 ELSE 0 END AS codec_hd,
    CASE WHEN phone.codec_video THEN 1 ELSE 0 END AS codec_video,
    phone.extension_id AS extension_id
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id

UNION ALL
SELECT
    CAST('u' || CAST(extension.id AS VARCHAR(20)) AS VARCHAR(24)) AS id,
    extension.version + customer.version AS version,
    extension.sip_user AS username,
    customer.sip_domain AS domain,
    CAST(NULL AS VARCHAR(255)) AS password_enc,
    extension.sip_ha1_md5 AS ha1_md5,
    extension.sip_ha1_sha256 AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    extension.number AS extension,
    extension.sip_secret_version AS secret_version,
    CAST('OPEN' AS VARCHAR(8)) AS ip_mode,
    CAST('' AS VARCHAR(1000)) AS ip_countries,
    CAST('' AS VARCHAR(45)) AS ip_address,
    CAST('DOMAIN' AS VARCHAR(8)) AS ip_policy,
    1 AS pbx_cluster,
    0 AS webrtc,
    CAST('' AS VARCHAR(255)) AS instance_id,
    COALESCE(
        (SELECT group_concat(network, ',') FROM trusted_network WHERE customer_id = customer.id), ''
    ) AS networks,
    'user' AS kind,
    extension.id AS user_id,
    extension.name AS name,
    1 AS codec_hd,
    0 AS codec_video,
    extension.id AS extension_id
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE extension.sip_ha1_md5 IS NOT NULL AND customer.sip_domain IS NOT NULL;
CREATE VIEW callee_v1 AS
SELECT
    customer.oid AS customer,
    extension.number AS dialled,
    'extension' AS kind,
    1 AS rank,
    extension.number AS number,
    extension.name AS name,
    extension.id AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE customer.state = 'ACTIVE'
UNION ALL
SELECT
    customer.oid AS customer,
    extension.sip_user AS dialled,
    'user' AS kind,
    2 AS rank,
    extension.number AS number,
    extension.name AS name,
    extension.id AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE customer.state = 'ACTIVE' AND extension.sip_user IS NOT NULL
UNION ALL
SELECT
    customer.oid AS customer,
    phone.username AS dialled,
    'phone' AS kind,
    3 AS rank,
    COALESCE(extension.number, '') AS number,
    COALESCE(extension.name, '') AS name,
    phone.extension_id AS extension_id,
    phone.oid AS phone
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
WHERE customer.state = 'ACTIVE';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sip_phone_model',7);
INSERT INTO "sqlite_sequence" VALUES('customer',1);
INSERT INTO "sqlite_sequence" VALUES('extension',20);
INSERT INTO "sqlite_sequence" VALUES('sip_phone',20);
COMMIT;
